"""The pipeline, and how it runs on one machine."""

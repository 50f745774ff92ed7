"""Drawn receipts, for examples and tests: no downloads, the same bytes for the same seed."""

"""The typed configuration and its presets."""

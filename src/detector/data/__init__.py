"""Labelled pages: read, checked, split, and cut into crops with their target maps."""

"""Drawn receipts, for examples and tests: no downloads, the same bytes for the same seed."""

from enum import StrEnum


class LabelledBy(StrEnum):
    """What has an outline of its own on a drawn receipt."""

    LINES = "lines"
    WORDS = "words"

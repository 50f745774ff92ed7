"""The version of detsweep."""

__version__ = "0.1.0"

"""Where files are kept: the run store, the object stores under it, and files written whole."""

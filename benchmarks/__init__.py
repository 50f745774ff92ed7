"""Side-by-side figures against named peers. See README.md beside this file."""

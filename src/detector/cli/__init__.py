"""The `detsweep` command: a file for each group of commands."""

"""The files that data sets are made of: their layouts, ICDAR text and words JSON, a file each."""

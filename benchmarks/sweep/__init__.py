"""How many epochs a sweep takes to find a good configuration: detsweep's search and its peers."""

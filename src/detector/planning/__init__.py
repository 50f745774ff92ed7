"""How long a run will take on how many GPUs: `detsweep plan`. Nothing here trains to an end."""

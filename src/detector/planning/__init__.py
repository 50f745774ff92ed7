"""How long a run will take on how many GPUs: `detsweep plan`. Nothing here trains to an end."""

from detector.planning.estimate import Estimate, Work, estimate
from detector.planning.stopping import SweepCourse, simulate_sweep
from detector.planning.throughput import Throughput, measure_throughput

__all__ = [
    "Estimate",
    "SweepCourse",
    "Throughput",
    "Work",
    "estimate",
    "measure_throughput",
    "simulate_sweep",
]

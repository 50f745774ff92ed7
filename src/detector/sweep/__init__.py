"""A sweep: its file, its search space, where its trials are kept, and the agents that run them.

`log` is for programs that a sweep runs; see `reporting`. Nothing here imports a training.
"""

from detector.sweep.reporting import log

__all__ = ["log"]

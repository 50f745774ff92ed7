"""One of the processes that torchrun starts for a fold on several GPUs.

    torchrun --nproc-per-node 4 -m detector.steps.fold_process STORE SWEEP FOLD

The first of them is the step; the others train with it.
"""

import sys

from detector.console import plain_errors
from detector.data.processes import Processes
from detector.steps.fold import share_fold, train_fold
from detector.steps.run import Run


def main() -> None:
    """Be one of the processes."""
    match sys.argv[1:]:
        case [store, sweep, fold] if fold.isdecimal():
            first = Processes.of_environment().is_first
            (train_fold if first else share_fold)(Run(store, sweep), int(fold))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    with plain_errors():
        main()

"""torchrun on one node of a fold's training.

    PET_NPROC_PER_NODE=4 python -m detector.steps.fold_node STORE SWEEP FOLD

How many nodes and processes there are it learns from PET_*, which Kubeflow's Trainer sets. torchrun
alone ends with code 1 whatever has happened. This ends with 143 where its processes were asked to
end, by which a cluster knows that nothing failed.
"""

import os
import signal
import sys

from detector.console import PREEMPTED_EXIT_CODE, plain_errors

GRACE_S = 240
"""How long processes may take to store what they have. A pod of a fold has a minute more."""

_ASKED_TO_END = {PREEMPTED_EXIT_CODE, -signal.SIGTERM}


def main() -> None:
    # Here, for SIGTERM has to be heard while torch is imported.
    """Run torchrun with the words of the command line."""
    from torch.distributed import run  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.api import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415

    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE_S))
    try:
        run.main(["-m", "detector.steps.fold_process", *sys.argv[1:]])
    except SignalException as error:
        raise SystemExit(PREEMPTED_EXIT_CODE) from error
    except ChildFailedError as error:
        if {failure.exitcode for failure in error.failures.values()} <= _ASKED_TO_END:
            raise SystemExit(PREEMPTED_EXIT_CODE) from error
        print(error, file=sys.stderr, flush=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    with plain_errors():
        main()

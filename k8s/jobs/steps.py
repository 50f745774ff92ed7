"""What the Jobs run. The sweep's id is where the Jobs meet: the first writes it to the run store.

    python3 steps.py agent NAME     take trials until none is left
    python3 steps.py finish         choose the best, train it on every fold, build the ensemble

Where the run is kept comes by DETSWEEP_STORE and DETSWEEP_BACKEND.
"""

import os
import sys
import time

from detector.console import PREEMPTED_EXIT_CODE, plain_errors, say
from detector.steps.agent import run_sweep_agent
from detector.steps.ensemble import build
from detector.steps.fold import train_fold
from detector.steps.prepare import Prepared
from detector.steps.run import Run
from detector.steps.select import select

_POLL_S = 5


def main() -> None:
    store, backend = os.environ["DETSWEEP_STORE"], os.environ["DETSWEEP_BACKEND"]
    match sys.argv[1:]:
        case ["agent", name]:
            _work(store, backend, name)
        case ["finish"]:
            _finish(store, backend)
        case _:
            raise SystemExit(__doc__)


def _work(store: str, backend: str, name: str) -> None:
    summary = run_sweep_agent(store, backend, _sweep_id(store), name)
    if summary.status == "preempted":
        raise SystemExit(PREEMPTED_EXIT_CODE)


def _finish(store: str, backend: str) -> None:
    """Each of the steps finds what it had finished, should this be started again."""
    sweep_id, run = _sweep_id(store), Run(store)
    select(store, backend, sweep_id)
    for fold in Prepared(run.config(), run.manifest()).fold_numbers:
        train_fold(store, sweep_id, fold)
    build(store, sweep_id)


def _sweep_id(store: str) -> str:
    run = Run(store)
    while (sweep := run.sweep()) is None:
        say(f"waiting for the sweep to be created in {store}")
        time.sleep(_POLL_S)
    return sweep["id"]


if __name__ == "__main__":
    with plain_errors():
        main()

"""An agent as a process of its own, whose training takes no time and leaves files of an epoch.

    python -m tests.steps.pausable_agent STORE BACKEND SWEEP NAME LEASE

Every file of an epoch says which attempt wrote it, so that a mixture is seen.
"""

import sys
import time
from pathlib import Path

from detector.config.metrics import HISTORY
from detector.console import plain_errors
from detector.patience import patience_seconds
from detector.steps.run import Run
from detector.steps.training import Origin
from detector.storage.atomic import write_atomically
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.trial import TrialEnd, TrialHandle
from detector.training.result import BEST, LAST

EPOCHS = 6
FILES = (LAST, BEST, HISTORY)
ORIGIN = Origin("config", "data", 0)
_EPOCH_S = 0.05


def main(store: str, backend: str, sweep: str, name: str, lease: str) -> None:
    """Run the agent to the end of the sweep."""
    run = Run(store, sweep)

    def train(trial: TrialHandle) -> TrialEnd:
        with run.trial(trial.number).attempt(ORIGIN, trial.attempt) as folder:
            done = epoch_of(folder.path)
            for epoch in range(1, EPOCHS + 1):
                if epoch > done:
                    time.sleep(_EPOCH_S)
                    for file in FILES:
                        write_atomically(folder.path / file, f"{trial.attempt} {epoch}".encode())
                    folder.publish()
                if not trial.report(epoch, {"score": epoch}):
                    return "stopped"
        return "finished"

    opened = open_backend(backend, float(lease), patience_seconds()).open(sweep)
    run_agent(opened, train, agent=name, wait_for_stragglers=True)


def epoch_of(folder: Path) -> int:
    """The epoch of all files in a folder; 0 where there are none."""
    said = {(folder / file).read_text("utf-8") for file in FILES if (folder / file).exists()}
    assert len(said) <= 1, f"the files are of {said}"
    return int(said.pop().split()[1]) if said else 0


if __name__ == "__main__":
    with plain_errors():
        main(*sys.argv[1:])

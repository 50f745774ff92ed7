"""An agent whose training takes no time: a process of its own for the tests of the backends.

Each trial leaves, in its folder, a log of the epochs that were begun and finished, and by whom. The
log is its checkpoint, too: a resumed training repeats to the sweep what stands there, and goes on.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from detector.console import PREEMPTED_EXIT_CODE
from detector.patience import patience_seconds
from detector.sweep.agent import run_agent
from detector.sweep.opening import open_backend
from detector.sweep.trial import Objective, TrialEnd, TrialHandle
from tests.sweep.taking import x_of

EPOCHS = 4


def main(words: Sequence[str]) -> int:
    """Run an agent; its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("sweep")
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--lease", type=float, required=True)
    parser.add_argument("--epoch-seconds", type=float, default=0)
    parser.add_argument("--hang-in-epoch", type=int, help="never finish this epoch of any trial")
    args = parser.parse_args(words)
    summary = run_agent(
        open_backend(args.url, args.lease, patience_seconds()).open(args.sweep),
        toy_objective(args.folder, args.name, args.epoch_seconds, args.hang_in_epoch),
        agent=args.name,
        wait_for_stragglers=True,
    )
    return PREEMPTED_EXIT_CODE if summary.status == "preempted" else 0


def toy_objective(
    folder: Path, name: str, epoch_seconds: float = 0, hang_in_epoch: int | None = None
) -> Objective:
    """A training whose score is the epoch and `x`."""

    def train(trial: TrialHandle) -> TrialEnd:
        log = folder / f"{trial.number}"
        log.touch()
        done = log.read_text(encoding="utf-8").count("finished")
        for epoch in range(1, EPOCHS + 1):
            if epoch > done:
                _note(log, f"{name} {epoch} begun")
                if epoch == hang_in_epoch:
                    time.sleep(600)
                time.sleep(epoch_seconds)
                _note(log, f"{name} {epoch} finished")
            if not trial.report(epoch, {"score": epoch + x_of(trial.params)}):
                return "stopped"
        return "finished"

    return train


def _note(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""An agent whose training takes no time: a process of its own for the tests of the backends.

Each trial leaves, in its folder, the last finished epoch (its checkpoint) and who finished which.
"""

import argparse
import time
from pathlib import Path

from detector.storage import write_atomically
from detector.sweep.agent import run_agent
from detector.sweep.backends import open_backend
from detector.sweep.trial import TrialEnd, TrialHandle

EPOCHS = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("sweep_id")
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--lease", type=float, required=True)
    parser.add_argument("--hang-in-epoch", type=int, help="never finish this epoch of any trial")
    args = parser.parse_args()

    def train(trial: TrialHandle) -> TrialEnd:
        folder = args.folder / f"{trial.number}"
        checkpoint = folder / "checkpoint"
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(done + 1, EPOCHS + 1):
            if epoch == args.hang_in_epoch:
                (args.folder / "hangs").touch()
                time.sleep(600)
            write_atomically(checkpoint, str(epoch).encode())
            with (folder / "log").open("a") as log:
                log.write(f"{args.name} {epoch}\n")
            if not trial.report(epoch, {"score": epoch + float(trial.params["x"])}):
                return "stopped"
        return "finished"

    backend = open_backend(args.url, args.lease)
    run_agent(backend, args.sweep_id, train, agent=args.name, wait_for_stragglers=True)


if __name__ == "__main__":
    main()

"""One of the processes that torchrun starts for a test: `shared.py TRIAL…`, a JSON object each.

A trial is a training in a folder; `sigterm` names the process that is asked to end in its third
step, `small_memory` the one that has room for a single crop.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from detector.config.loading import config_from_tree
from detector.data.folds import Manifest, open_folds
from detector.model.dbnet import DBNet
from detector.training.result import EpochMetrics
from detector.training.run import train
from detector.training.step import Stepper


def terminate_in_the_third_step(patch: pytest.MonkeyPatch) -> None:
    steps, step = [], Stepper.step

    def terminate(self: Stepper, *arguments: Any) -> float:
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *arguments)

    patch.setattr(Stepper, "step", terminate)


def leave_memory_for_one_crop(patch: pytest.MonkeyPatch) -> None:
    forward = DBNet.forward

    def small(self: DBNet, pictures: torch.Tensor) -> Any:
        if len(pictures) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(self, pictures)

    patch.setattr(DBNet, "forward", small)


def run(trial: dict[str, Any]) -> None:
    rank = int(os.environ["RANK"])
    folds = open_folds(Path(trial["root"]), Manifest.from_json(trial["manifest"]))
    folder = Path(trial["folder"])
    with pytest.MonkeyPatch.context() as patch:
        if trial.get("sigterm") == rank:
            terminate_in_the_third_step(patch)
        if trial.get("small_memory") == rank:
            leave_memory_for_one_crop(patch)
        config = config_from_tree(trial["config"])
        # Only the first touches the folder; the others get one that is not there.
        folder = folder if rank == 0 else folder / "not used"
        reported: list[int] = []

        def report(metrics: EpochMetrics) -> bool:
            reported.append(metrics.epoch)
            return True

        result = train(config, folds, 0, folder, report)
    said = {"status": result.status, "kept": result.kept_epoch, "reported": reported}
    Path(trial["results"], f"{rank}.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        run(json.loads(argument))

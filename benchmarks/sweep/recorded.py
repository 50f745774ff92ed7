"""Trainings that were recorded: the surrogate of LCBench, and TaskSet's tables.

    FOLDER/lcbench_model.onnx     accuracy of multi-layer perceptrons on data sets of OpenML, by
                                  configuration and epoch (Zimmer et al. 2021; YAHPO Gym, Pfisterer
                                  et al. 2022), with lcbench_encoding.json beside it
    FOLDER/taskset_NAME.npz       losses of recurrent networks, 1,000 configurations of Adam each
                                  (Metz et al. 2020)

A curve is read at EPOCHS places, so that one epoch here is 2.5 of what was recorded. A
configuration between those of a table is the nearest one of it. Both are without noise.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.sweep.problems import EPOCHS, Curve, Optimum, Params, Problem
from detector.search.axes import Rows
from detector.search.unit import UnitCube
from detector.sweepfile import space
from detector.sweepfile.space import Space

LCBENCH_TASKS = [
    "126025",
    "126026",
    "126029",
    "146212",
    "167083",
    "167104",
    "167149",
    "167152",
    "167161",
    "167168",
    "167181",
    "167184",
    "167185",
    "167190",
    "167200",
    "167201",
    "168329",
]
"""Those on which the search may be developed; the others are for checks."""

_FOUND_WITHIN = 0.01
"""Found is what is within this share of the distance from typical to best."""

_LCBENCH_EPOCHS = 52
_LCBENCH_INPUTS = (
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
"""What the network takes after the epoch, in this order."""
_ACCURACY = 1


def recorded_trainings(
    folder: Path, lcbench_tasks: Sequence[str] = LCBENCH_TASKS
) -> list[tuple[Problem, Optimum]]:
    """Every training of a folder.

    Args:
        lcbench_tasks: which of the surrogate's.
    """
    problems: list[tuple[Problem, Optimum]] = []
    if (folder / "lcbench_model.onnx").exists():
        surrogate = _Surrogate(folder)
        problems += [_with_optimum(LCBench(surrogate, task)) for task in lcbench_tasks]
    problems += [_with_optimum(TaskSet(file)) for file in sorted(folder.glob("taskset_*.npz"))]
    return problems


class _Surrogate:
    """Accuracies of LCBench, as the network that learned them has them."""

    def __init__(self, folder: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "lcbench_model.onnx", options)
        encoding = json.loads((folder / "lcbench_encoding.json").read_text(encoding="utf-8"))
        self._index: dict[str, int] = encoding["OpenML_task_id"]

    def curves(self, task: str, configurations: Sequence[Params]) -> NDArray[np.float64]:
        """Accuracy from 0 to 1 (configurations, EPOCHS)."""
        epochs = np.round(np.arange(1, EPOCHS + 1) * _LCBENCH_EPOCHS / EPOCHS)
        rows = [[params[name] for name in _LCBENCH_INPUTS] for params in configurations]
        inputs = np.column_stack(
            [np.tile(epochs, len(rows)), np.repeat(np.array(rows), EPOCHS, axis=0)]
        ).astype(np.float32)
        tasks = np.full((len(inputs), 1), self._index[task], dtype=np.int32)
        output = self._session.run(None, {"x_cat": tasks, "x_cont": inputs})[0]
        accuracy = np.asarray(output)[:, _ACCURACY] / 100
        curves: NDArray[np.float64] = accuracy.reshape(-1, EPOCHS).astype(float)
        return curves


class _Recorded(ABC):
    """What the two have in common: no noise, so that a run shows what its configuration is."""

    @abstractmethod
    def curve(self, params: Params) -> Curve:
        """The metric after each epoch."""

    def observe(self, params: Params, rng: np.random.Generator) -> Curve:  # noqa: ARG002
        """The metric after each epoch, as one run shows it: the same."""
        return self.curve(params)


class LCBench(_Recorded):
    """Networks of one data set, their accuracy to be maximised."""

    def __init__(self, surrogate: _Surrogate, task: str):
        self.name = f"lcbench-{task}"
        self.space: Space = {
            "batch_size": _whole(16, 512),
            "learning_rate": _log(1e-4, 0.1),
            "max_dropout": space.Uniform(distribution="uniform", min=0.0, max=1.0),
            "max_units": _whole(64, 1024),
            "momentum": space.Uniform(distribution="uniform", min=0.1, max=0.99),
            "num_layers": space.IntUniform(min=1, max=5),
            "weight_decay": space.Uniform(distribution="uniform", min=1e-5, max=0.1),
        }
        self._surrogate, self._task = surrogate, task

    def curve(self, params: Params) -> Curve:
        """The accuracy after each epoch."""
        curve: Curve = self.curves([params])[0]
        return curve

    def curves(self, configurations: Sequence[Params]) -> NDArray[np.float64]:
        """Those of many configurations."""
        return self._surrogate.curves(self._task, configurations)


class TaskSet(_Recorded):
    """The table of one network, its loss with the sign turned to be maximised.

    What diverged shows the highest loss that any configuration began with.
    """

    def __init__(self, file: Path):
        self.name = file.stem.replace("_", "-")
        with np.load(file) as table:
            names, rows = [str(name) for name in table["hyperparameters"]], table["x"]
            losses = table["valid_loss"].astype(float)
        worst = losses[:, 0].max()
        losses = np.where(np.isfinite(losses), np.minimum(losses, worst), worst)
        places = np.round(np.arange(1, EPOCHS + 1) * (losses.shape[1] - 1) / EPOCHS).astype(int)
        self._curves = -losses[:, places]
        # What matters of beta is its distance from 1.
        turned = [name.startswith("beta") for name in names]
        values = np.where(turned, 1 - rows, rows)
        self.space: Space = {
            f"one_minus_{name}" if turn else name: _log(float(low), float(high))
            for name, turn, low, high in zip(
                names, turned, values.min(axis=0), values.max(axis=0), strict=True
            )
        }
        self._cube = UnitCube(space.axes(self.space))
        self._rows: Rows = np.array([self._row(row) for row in values])

    def curve(self, params: Params) -> Curve:
        """The negative loss after each epoch."""
        row = self._row([float(str(params[name])) for name in self.space])
        nearest = int(((self._rows - row) ** 2).sum(axis=1).argmin())
        return np.asarray(self._curves[nearest])

    def curves(self, configurations: Sequence[Params]) -> NDArray[np.float64]:
        """Those of many configurations."""
        return np.array([self.curve(params) for params in configurations])

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """All curves of the table."""
        curves: NDArray[np.float64] = self._curves
        return curves

    def _row(self, values: Sequence[float]) -> NDArray[np.float64]:
        row: NDArray[np.float64] = self._cube.row(
            dict(zip(self.space, map(float, values), strict=True))
        )
        return row


def _with_optimum(problem: LCBench | TaskSet) -> tuple[Problem, Optimum]:
    best, typical = problem_levels(problem)
    return problem, Optimum(best, typical, _FOUND_WITHIN * (best - typical))


def problem_levels(problem: LCBench | TaskSet) -> tuple[float, float]:
    """Best level and the median of random configurations: of a table by looking, of a surrogate by
    random draws and then ever smaller steps from the ten best."""
    if isinstance(problem, TaskSet):
        reached = problem.table.max(axis=1)
        return float(reached.max()), float(np.median(reached))
    rng = np.random.default_rng(7)
    cube = UnitCube(space.axes(problem.space))

    def levels(rows: Rows) -> NDArray[np.float64]:
        configurations = [space.values(problem.space, cube.point(row)) for row in rows]
        reached: NDArray[np.float64] = problem.curves(configurations).max(axis=1)
        return reached

    rows = cube.snap(cube.at_quantiles(rng.random((2000, cube.dimensions))))
    reached = levels(rows)
    typical = float(np.median(reached))
    for step in range(24):
        best = np.argsort(-reached)[:10]
        rows, reached = rows[best], reached[best]
        near = np.repeat(rows, 8, axis=0)
        moved = rng.random(near.shape) < 0.6
        near = cube.snap(near + moved * rng.normal(size=near.shape) * 0.15 * 0.85**step)
        rows, reached = np.vstack([rows, near]), np.concatenate([reached, levels(near)])
    return float(reached.max()), typical


def _log(low: float, high: float) -> space.LogUniform:
    return space.LogUniform(distribution="log_uniform_values", min=low, max=high)


def _whole(low: int, high: int) -> space.Distribution:
    return space.LogUniform(distribution="q_log_uniform_values", min=low, max=high, q=1)

"""Which configuration to try next, and which trial to end early: one model of curves answers both.

A new configuration is the one that promises most by expected improvement (Jones, Schonlau and Welch
1998, "Efficient global optimization"), where the trials that run are taken to end as expected, so
that agents do not crowd (the kriging believer of Ginsbourger, Le Riche and Carraro 2010). A young
trial ends when a new one promises far more improvement for each epoch that it would still take
(Snoek, Larochelle and Adams 2012, "Practical Bayesian optimization", section 3.2). It is judged
twice, early, since that is when much can be saved, and only against long odds: of several hundred
new configurations the best looks better than it is, and a model without finished trials knows
nothing of last epochs.

Nothing is stored here but what saves work: the same trials give the same answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import qmc

from detector.search.axes import Axis, Coordinate, Rows
from detector.search.curves import CURVES_TO_COMPARE, Curves, Trial, curves
from detector.search.hyperband import Goal
from detector.search.model import Belief, CurveModel, Observed
from detector.search.rungs import rungs
from detector.search.unit import UnitCube

SPREAD_TRIALS = 8
"""The first configurations are spread evenly over the space."""
_ODDS = 30.0
"""A new trial must promise so many times the improvement of a running one, for each epoch."""

_BEST_LEARNED, _OTHERS_LEARNED = 50, 30
"""How many trials the model learns; what is far from good needs no more than a sample."""
_FIRST_FITS = 3
_GROWTH_TO_FIT = 1.15
_FIT_STEPS = 15

_RANDOM_CANDIDATES = 300
_NEIGHBOURS = 40
_CENTRES = 5
_REACHES = (0.05, 0.2)
_REFINED, _REFINEMENTS, _REFINEMENT_REACHES = 4, 25, (0.1, 0.03)
_SHARE_MOVED = 0.7
_COLLAPSE_REACH = 0.2


@dataclass(frozen=True)
class _View:
    """What is believed of the trials that were learned and of those that run.

    Attributes:
        rows: their places in the cube (trials, parameters).
        belief: of their final levels.
        index: which row is whose, by trial number.
        curves: what was learned.
    """

    rows: Rows
    belief: Belief
    index: dict[int, int]
    curves: Curves

    @property
    def best(self) -> float:
        """The highest level to expect; what a trial that collapsed has promised is none."""
        attainable = np.ones(len(self.rows), dtype=bool)
        attainable[: len(self.curves.collapsed)] = ~self.curves.collapsed
        levels = self.belief.mean[attainable] if attainable.any() else self.belief.mean
        return float(levels.max())


class AdaptiveSearch:
    """The search of one sweep.

    Args:
        axes: of its parameters that vary, by name; at least one.
        goal: of its metric.
        horizon: epochs of a whole trial; None where only trials that finish will show it, and none
            is ended early before that.
        seed: the same one gives the same answers.
    """

    def __init__(self, axes: Mapping[str, Axis], goal: Goal, horizon: int | None, seed: int):
        self._cube = UnitCube(axes)
        self._goal: Goal = goal
        self._given_horizon = horizon
        self._seed = seed
        self._model: CurveModel | None = None
        self._model_horizon = 0
        self._fits = 0
        self._epochs_at_fit = 0
        self._rows: dict[int, NDArray[np.float64]] = {}

    def suggest(self, trials: Sequence[Trial], number: int) -> dict[str, Coordinate]:
        """A point for trial `number`.

        Args:
            trials: the others, without those that failed.
        """
        rng = np.random.default_rng([self._seed, number])
        if number < SPREAD_TRIALS or sum(bool(trial.curve) for trial in trials) < CURVES_TO_COMPARE:
            return self._cube.point(self._spread(number))
        row, _ = self._most_promising(self._look_at(trials, rng), trials, rng)
        return self._cube.point(row)

    def should_stop(self, number: int, trials: Sequence[Trial]) -> bool:
        """Whether trial `number`, which is one of `trials`, ends after the last epoch of its curve:
        because it has collapsed, or because a new trial promises more."""
        trial = next(trial for trial in trials if trial.number == number)
        epoch = max(trial.curve, default=0)
        horizon = self._horizon(trials)
        if horizon is None or not 0 < epoch < horizon:
            return False
        rng = np.random.default_rng([self._seed, number, epoch])
        learned = self._learned(trials, rng, number)
        if self._has_collapsed(trial, learned, horizon):
            return True
        if len(trial.curve) not in rungs(horizon) or len(learned) < CURVES_TO_COMPARE:
            return False
        view = self._look_at(trials, rng, judged=number)
        _, promise = self._most_promising(view, trials, rng)
        at = [view.index[number]]
        own = Belief(view.belief.mean[at], view.belief.variance[at])
        per_epoch = _log_expected_improvement(own, view.best)[0] - math.log(1 - epoch / horizon)
        return bool(per_epoch + math.log(_ODDS) < promise)

    def _has_collapsed(self, trial: Trial, learned: Sequence[Trial], horizon: int) -> bool:
        seen = curves(learned, self._goal, horizon)
        return any(
            collapsed and seen_trial.number == trial.number
            for seen_trial, collapsed in zip(seen.trials, seen.collapsed, strict=True)
        )

    def _horizon(self, trials: Sequence[Trial]) -> int | None:
        if self._given_horizon is not None:
            return self._given_horizon
        lengths = [max(t.curve) for t in trials if t.state == "finished" and t.curve]
        return max(lengths, default=None)

    def _spread(self, number: int) -> NDArray[np.float64]:
        """The Sobol sequence (1967), scrambled."""
        sequence = qmc.Sobol(self._cube.dimensions, rng=np.random.default_rng(self._seed))
        if number:
            sequence.fast_forward(number)
        row: NDArray[np.float64] = self._cube.snap(self._cube.at_quantiles(sequence.random(1)))[0]
        return row

    def _row(self, trial: Trial) -> NDArray[np.float64]:
        if trial.number not in self._rows:
            self._rows[trial.number] = self._cube.row(trial.point)
        return self._rows[trial.number]

    def _learned(
        self, trials: Sequence[Trial], rng: np.random.Generator, judged: int | None = None
    ) -> list[Trial]:
        """The trials that the model learns: the best, and a sample of the others."""
        choose = max if self._goal == "maximize" else min
        sign = -1 if self._goal == "maximize" else 1
        ranked = sorted(
            (trial for trial in trials if trial.curve),
            key=lambda trial: (trial.number != judged, sign * choose(trial.curve.values())),
        )
        others = ranked[_BEST_LEARNED:]
        sample = rng.permutation(len(others))[:_OTHERS_LEARNED]
        return ranked[:_BEST_LEARNED] + [others[i] for i in sample]

    def _look_at(
        self, trials: Sequence[Trial], rng: np.random.Generator, judged: int | None = None
    ) -> _View:
        horizon = self._horizon(trials) or max(max(t.curve, default=1) for t in trials)
        seen = curves(self._learned(trials, rng, judged), self._goal, horizon)
        model = self._fitted(seen, horizon, sum(len(trial.curve) for trial in trials))
        index = {trial.number: i for i, trial in enumerate(seen.trials)}
        unseen = [t for t in trials if t.state == "running" and t.number not in index]
        index |= {trial.number: len(index) + i for i, trial in enumerate(unseen)}
        rows = np.array([self._row(trial) for trial in (*seen.trials, *unseen)])
        features = self._cube.features(rows)
        running = np.array(
            [index[t.number] for t in trials if t.state == "running" and t.number != judged],
            dtype=int,
        )
        if len(running):
            expected = model.believe(features[running], running)
            model.assume(features[running], expected.mean, running)
        return _View(rows, model.believe(features, np.arange(len(rows))), index, seen)

    def _fitted(self, seen: Curves, horizon: int, epochs: int) -> CurveModel:
        if self._model is None or self._model_horizon != horizon:
            self._model = CurveModel(self._cube.parameter_of_feature, horizon)
            self._model_horizon, self._fits = horizon, 0
        due = self._fits < _FIRST_FITS or epochs >= _GROWTH_TO_FIT * self._epochs_at_fit
        rows = np.array([self._row(trial) for trial in seen.trials])
        values = seen.deficits()
        blamed = _blamed(rows, seen)
        # Such a trial has reached all that there is to reach.
        values[blamed, -1] = np.nanmax(values[blamed], axis=1)
        observed = Observed(self._cube.features(rows), values)
        self._model.fit(observed, steps=_FIT_STEPS if due else 0)
        if due:
            self._fits += 1
            self._epochs_at_fit = epochs
        return self._model

    def _most_promising(
        self, view: _View, trials: Sequence[Trial], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], float]:
        """A row of the cube that was not tried, and the logarithm of its promise."""
        assert self._model is not None
        tried = {self._row(trial).round(9).tobytes() for trial in trials}
        rows = self._candidates(view, rng)
        promises = self._promises(rows, view, tried)
        for reach in _REFINEMENT_REACHES:
            centres = rows[np.argsort(-promises)[:_REFINED]]
            near = self._around(centres, _REFINEMENTS, reach, rng)
            rows = np.vstack([rows, near])
            promises = np.concatenate([promises, self._promises(near, view, tried)])
        best = int(np.argmax(promises))
        return rows[best], float(promises[best])

    def _candidates(self, view: _View, rng: np.random.Generator) -> Rows:
        anywhere = rng.random((_RANDOM_CANDIDATES, self._cube.dimensions))
        centres = view.rows[np.argsort(-view.belief.mean)[:_CENTRES]]
        near = [self._around(centres, _NEIGHBOURS, reach, rng) for reach in _REACHES]
        return np.vstack([self._cube.snap(self._cube.at_quantiles(anywhere)), *near])

    def _around(self, centres: Rows, count: int, reach: float, rng: np.random.Generator) -> Rows:
        """`count` rows near each centre; what would leave the cube lies on its face."""
        repeated = np.repeat(centres, count, axis=0)
        moved = rng.random(repeated.shape) < _SHARE_MOVED
        return self._cube.snap(repeated + reach * moved * rng.normal(size=repeated.shape))

    def _promises(self, rows: Rows, view: _View, tried: set[bytes]) -> NDArray[np.float64]:
        """Logarithm of the improvement to expect; the least possible where the row was tried."""
        assert self._model is not None
        belief = self._model.believe(self._cube.features(rows))
        promises = _log_expected_improvement(belief, view.best)
        again = [row.tobytes() in tried for row in rows.round(9)]
        return np.where(again, -np.inf, promises)


def _log_expected_improvement(belief: Belief, best: float) -> NDArray[np.float64]:
    deviation = np.sqrt(belief.variance)
    z = (belief.mean - best) / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    improvement = np.maximum(deviation * (z * ndtr(z) + density), np.finfo(float).tiny)
    return np.asarray(np.log(improvement))


def _blamed(rows: Rows, seen: Curves) -> NDArray[np.bool_]:
    """Which collapses are the configuration's doing: those near which more trials collapsed than
    lived on. Others are bad luck, and say nothing of the level that was to be expected."""
    squares = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    near = np.exp(-squares / (2 * _COLLAPSE_REACH**2))
    np.fill_diagonal(near, 0.0)
    lengths = seen.known.sum(axis=1)
    lived_on = ~seen.collapsed[None] & (lengths[None] >= lengths[:, None])
    blame = (near * seen.collapsed[None]).sum(axis=1) > (near * lived_on).sum(axis=1)
    return np.asarray(seen.collapsed & blame)

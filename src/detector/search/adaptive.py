"""Which configuration to try next, and which trial to end early: one model of curves answers both.

A new configuration is the one that promises most by expected improvement (Jones, Schonlau and Welch
1998, "Efficient global optimization"), where the trials that run are taken to end as expected, so
that agents do not crowd (the kriging believer of Ginsbourger, Le Riche and Carraro 2010). That one
lies near what is known to be good. Where most of a space is equally bad, differences that mean
nothing look like a slope, so every few trials explore: the most promising of a few places anywhere.

A young trial ends when a new one promises far more improvement for each epoch that it would still
take (Snoek, Larochelle and Adams 2012, "Practical Bayesian optimization", section 3.2). It is
judged early, since that is when much can be saved, and only against long odds: of several hundred
new configurations the best looks better than it is, and a model without finished trials knows
nothing of last epochs. How long the odds are, and whether it is judged later instead, `trust` says.

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
from detector.search.trust import is_witness, log_odds
from detector.search.unit import UnitCube

SPREAD_TRIALS = 8
"""The first configurations are spread evenly over the space."""
_EXPLORED = 8
"""An exploring trial is the most promising of so many places."""
_MOST_OFTEN, _LEAST_OFTEN = 2, 8
"""Every how many trials one explores. The more parameters there are, the less the first trials say
of the space."""
_PATIENCE = 4
_EXPLOITING_STILL = 3
"""After so many times as many trials without a new best one, all but every third explore."""

_SMALL_SPACE = 2000
"""A space of so few points is looked at as a whole."""

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

    @property
    def leader(self) -> int:
        """Number of the trial that was the first to show the best value."""
        shown = np.nanmax(self.curves.best, axis=1)
        pairs = zip(self.curves.trials, shown, strict=True)
        return min(trial.number for trial, value in pairs if value == shown.max())


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
        self._lattice = self._cube.lattice(_SMALL_SPACE)
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
            return self._cube.point(self._untried(self._spread(number), trials, rng))
        view = self._look_at(trials, rng)
        row, _ = (
            self._most_promising_of_few(view, trials, rng)
            if self._explores(view, number)
            else self._most_promising(view, trials, rng)
        )
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
        if is_witness(number) or len(learned) < CURVES_TO_COMPARE:
            return False
        odds = log_odds(trials, self._goal, len(trial.curve), horizon)
        if not math.isfinite(odds):
            return False
        view = self._look_at(trials, rng, judged=number)
        _, promise = self._most_promising(view, trials, rng)
        at = [view.index[number]]
        own = Belief(view.belief.mean[at], view.belief.variance[at])
        per_epoch = _log_expected_improvement(own, view.best)[0] - math.log(1 - epoch / horizon)
        return bool(per_epoch + odds < promise)

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

    def _untried(
        self, row: NDArray[np.float64], trials: Sequence[Trial], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The row, or in a small space the nearest one that was not tried, while there is one."""
        if self._lattice is None:
            return row
        left = self._left(trials)
        distances = ((left - row) ** 2).sum(axis=1)
        nearest = np.flatnonzero(distances <= distances.min() + 1e-12)
        found: NDArray[np.float64] = left[rng.choice(nearest)]
        return found

    def _left(self, trials: Sequence[Trial]) -> Rows:
        """Rows of a small space that were not tried; all of them once all were."""
        assert self._lattice is not None
        tried = self._tried(trials)
        left = [row.tobytes() not in tried for row in self._lattice.round(9)]
        return self._lattice[left] if any(left) else self._lattice

    def _tried(self, trials: Sequence[Trial]) -> set[bytes]:
        return {self._row(trial).round(9).tobytes() for trial in trials}

    def _explores(self, view: _View, number: int) -> bool:
        every = 2 * (SPREAD_TRIALS - self._cube.dimensions)
        every = min(max(every, _MOST_OFTEN), _LEAST_OFTEN)
        if number - view.leader >= _PATIENCE * every:
            return number % _EXPLOITING_STILL != 0
        return number % every == every - 1

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
        tried = self._tried(trials)
        if self._lattice is not None:
            return self._best_of(self._left(trials), view, tried)
        rows = self._candidates(view, rng)
        promises = self._promises(rows, view, tried)
        for reach in _REFINEMENT_REACHES:
            centres = rows[np.argsort(-promises)[:_REFINED]]
            near = self._around(centres, _REFINEMENTS, reach, rng)
            rows = np.vstack([rows, near])
            promises = np.concatenate([promises, self._promises(near, view, tried)])
        best = int(np.argmax(promises))
        return rows[best], float(promises[best])

    def _most_promising_of_few(
        self, view: _View, trials: Sequence[Trial], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], float]:
        """The same, of a few rows from anywhere."""
        rows = self._anywhere(_EXPLORED, rng)
        if self._lattice is not None:
            left = self._left(trials)
            rows = left[rng.permutation(len(left))[:_EXPLORED]]
        return self._best_of(rows, view, self._tried(trials))

    def _best_of(
        self, rows: Rows, view: _View, tried: set[bytes]
    ) -> tuple[NDArray[np.float64], float]:
        promises = self._promises(rows, view, tried)
        best = int(np.argmax(promises))
        return rows[best], float(promises[best])

    def _anywhere(self, count: int, rng: np.random.Generator) -> Rows:
        """Rows drawn from the parameters' priors."""
        quantiles = rng.random((count, self._cube.dimensions))
        return self._cube.snap(self._cube.at_quantiles(quantiles))

    def _candidates(self, view: _View, rng: np.random.Generator) -> Rows:
        anywhere = self._anywhere(_RANDOM_CANDIDATES, rng)
        centres = view.rows[np.argsort(-view.belief.mean)[:_CENTRES]]
        near = [self._around(centres, _NEIGHBOURS, reach, rng) for reach in _REACHES]
        return np.vstack([anywhere, *near])

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

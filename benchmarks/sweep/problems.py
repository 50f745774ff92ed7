"""Synthetic trainings whose best configuration is known.

A problem gives learning curves as a function of parameters. `DetectorTraining` is a family of
made-up text detector trainings over the four parameters of `sweeps/hrnet_w44_1280.yaml`: the cosine
schedule is followed epoch by epoch, so that a T_max below
the number of epochs lets the rate rise again, one above it leaves the rate high, and curves cross.
`Analytic` are the multi-fidelity test functions of Kandasamy et al. 2016, "Gaussian process bandit
optimisation with multi-fidelity evaluations", with the share of epochs as the fidelity.

Nothing here knows of any search.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.search.axes import Coordinate, Interval
from detector.sweepfile import space
from detector.sweepfile.space import Space

EPOCHS = 20
Curve = NDArray[np.float64]
"""The metric after each epoch (EPOCHS,); higher is better."""
Params = dict[str, object]

_LR, _DECAY = "models.optimizer.lr", "models.optimizer.weight_decay"
_T_MAX, _ETA_MIN = "models.scheduler.T_max", "models.scheduler.eta_min"
_CHANCE_TO_DIVERGE = 0.25


class Problem(Protocol):
    """A training to be tuned."""

    name: str
    space: Space

    def curve(self, params: Params) -> Curve:
        """What the training would show without noise."""

    def observe(self, params: Params, rng: np.random.Generator) -> Curve:
        """What one run of it shows."""


@dataclass(frozen=True)
class Optimum:
    """What the search of a problem is measured by.

    Attributes:
        level: best value that any configuration reaches.
        typical: median of what random ones reach.
        target: how far below `level` counts as found.
    """

    level: float
    typical: float
    target: float


class DetectorTraining:
    """One training of the family, drawn from its seed.

    The H-Mean after an epoch is a ceiling less what is not learned yet, a fast and a slow share
    that shrink with the sum of the rates; the unrest of the present rate; the harm of a wrong
    weight decay, which grows with the epochs; and that of a rate above the critical one. A run far
    above it diverges in one case of four.

    Args:
        seed: which of the family.
        salt: another family of the same kind.
    """

    def __init__(self, seed: int, salt: int):
        rng = np.random.default_rng([salt, seed])
        self.name = f"detector-{salt}-{seed}"
        self.space: Space = {
            _LR: _log_uniform(1e-5, 2e-4),
            _DECAY: _log_uniform(6.1e-6, 1.23e-4),
            _T_MAX: space.Categorical(values=[15, 18, 20, 25]),
            _ETA_MIN: _log_uniform(2.2e-6, 4.5e-5),
        }
        self._ceiling = rng.uniform(0.955, 0.985)
        self._good_rate = _log_draw(rng, 8e-5, 4.5e-4)
        self._critical_rate = self._good_rate * rng.uniform(0.9, 1.6)
        self._fast, self._slow = rng.uniform(0.25, 0.5), rng.uniform(0.03, 0.07)
        self._fast_speed, self._slow_speed = rng.uniform(0.6, 1.2), rng.uniform(0.25, 0.45)
        self._unrest, self._unrest_power = rng.uniform(0.006, 0.014), rng.uniform(1.2, 1.8)
        self._good_decay = _log_draw(rng, 8e-6, 1e-4)
        self._decay_harm, self._decay_by_rate = rng.uniform(0.004, 0.009), rng.uniform(-0.4, 0.4)
        self._instability = rng.uniform(0.03, 0.08)
        self._epoch_noise = rng.uniform(0.0006, 0.0012)
        self._run_noise = rng.uniform(0.0004, 0.0009)

    def curve(self, params: Params) -> Curve:
        """The metric after each epoch, without noise."""
        rates = self._rates(params)
        relative = rates / self._good_rate
        epochs = np.arange(EPOCHS)
        fast = self._fast * np.exp(-self._fast_speed * np.cumsum(relative**0.7))
        slow = self._slow * np.exp(-self._slow_speed * np.cumsum(relative))
        harm = self._decay_harm * self._decay_error(params, relative[0]) ** 2
        excess = max(0.0, math.log(rates.max() / self._critical_rate))
        level = (
            self._ceiling
            - fast
            - slow
            - self._unrest_after(relative)
            - harm * (1 - np.exp(-(epochs + 1) / 6))
            - self._instability * excess**2 * np.exp(-epochs / 12)
        )
        return np.clip(level, 0.0, 1.0)

    def observe(self, params: Params, rng: np.random.Generator) -> Curve:
        """The metric after each epoch, as one training shows it."""
        epochs, rates = np.arange(EPOCHS), self._rates(params)
        of_run = rng.normal(0, self._run_noise)
        early = (1 + 3 * np.exp(-epochs / 4)) * (0.5 + 0.5 * rates / self._good_rate)
        values = self.curve(params) + of_run + self._epoch_noise * early * rng.normal(size=EPOCHS)
        risky = rates.max() > 1.3 * self._critical_rate
        if risky and rng.random() < _CHANCE_TO_DIVERGE:
            values[rng.integers(1, EPOCHS) :] = 0.0
        clipped: Curve = np.clip(values, 0.0, 1.0)
        return clipped

    def _rates(self, params: Params) -> Curve:
        rate, low, t_max = (float(str(params[key])) for key in (_LR, _ETA_MIN, _T_MAX))
        rates: Curve = low + 0.5 * (rate - low) * (1 + np.cos(np.pi * np.arange(EPOCHS) / t_max))
        return rates

    def _decay_error(self, params: Params, first: float) -> float:
        decay = float(str(params[_DECAY]))
        return math.log10(decay / self._good_decay) + self._decay_by_rate * math.log10(first)

    def _unrest_after(self, relative: Curve) -> Curve:
        unrest = np.empty(EPOCHS)
        now = self._unrest * relative[0] ** self._unrest_power
        for epoch, rate in enumerate(relative):
            now = 0.5 * now + 0.5 * self._unrest * rate**self._unrest_power
            unrest[epoch] = now
        return unrest


_PEAKS_3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
_PLACES_3 = 1e-4 * np.array(
    [[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]
)
_PEAKS_6 = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_PLACES_6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_BIAS = 0.5 * np.array([1, -1, 1, 1])


class Analytic:
    """Hartmann's functions of three and six parameters, or Branin's, to be maximised.

    Args:
        name: hartmann3, hartmann6 or branin.
        noise: deviation of each value.
    """

    def __init__(self, name: str, noise: float):
        self.name = name
        self._noise = noise
        dimensions = {"hartmann3": 3, "hartmann6": 6, "branin": 2}[name]
        self.space: Space = {
            f"x{i}": space.Uniform(distribution="uniform", min=0.0, max=1.0)
            for i in range(dimensions)
        }

    def curve(self, params: Params) -> Curve:
        """The metric after each epoch, without noise."""
        x = np.array([float(str(params[name])) for name in self.space])
        left = 1 - np.arange(1, EPOCHS + 1) / EPOCHS
        if self.name == "branin":
            return _branin(15 * x[0] - 5, 15 * x[1], left)
        narrow, places = (
            (_PEAKS_3, _PLACES_3) if self.name == "hartmann3" else (_PEAKS_6, _PLACES_6)
        )
        peaks = np.exp(-(narrow * (x - places) ** 2).sum(axis=1))
        return np.asarray((_HEIGHTS - left[:, None] * _BIAS) @ peaks)

    def observe(self, params: Params, rng: np.random.Generator) -> Curve:
        """The metric after each epoch, as one training shows it."""
        return self.curve(params) + self._noise * rng.normal(size=EPOCHS)


def _branin(a: float, b: float, left: Curve) -> Curve:
    square, line = 5.1 / (4 * math.pi**2) - 0.01 * left, 5 / math.pi - 0.1 * left
    share = 1 / (8 * math.pi) + 0.05 * left
    value = (b - square * a**2 + line * a - 6) ** 2 + 10 * (1 - share) * math.cos(a) + 10
    return np.asarray(-value)


def detector_trainings(first: int, count: int, salt: int) -> list[tuple[Problem, Optimum]]:
    """Some trainings of a family; found is what is within 0.001 H-Mean of the best."""
    problems = [DetectorTraining(seed, salt) for seed in range(first, first + count)]
    return [(problem, Optimum(*_levels(problem), target=0.001)) for problem in problems]


def analytic_problems() -> list[tuple[Problem, Optimum]]:
    """Noise is 2 %, found is what is within 1 %, of the distance from typical to best."""
    known = {"hartmann3": 3.86278, "hartmann6": 3.32237, "branin": -0.397887}
    made: list[tuple[Problem, Optimum]] = []
    for name, level in known.items():
        _, typical = _levels(Analytic(name, noise=0.0))
        span = level - typical
        made.append((Analytic(name, 0.02 * span), Optimum(level, typical, 0.01 * span)))
    return made


def _levels(problem: Problem, draws: int = 6000, refinements: int = 3000) -> tuple[float, float]:
    """Best level, by random draws and then ever smaller steps from the best; and the median."""
    rng = np.random.default_rng(7)
    points = [space.draw(problem.space, rng) for _ in range(draws)]
    levels = [problem.curve(space.values(problem.space, point)).max() for point in points]
    best = int(np.argmax(levels))
    point, level, reach = points[best], levels[best], 0.15
    for step in range(refinements):
        near = {name: _step(problem.space[name], point[name], reach, rng) for name in point}
        reached = problem.curve(space.values(problem.space, near)).max()
        if reached > level:
            point, level = near, reached
        if step % 150 == 149:
            reach *= 0.75
    return float(level), float(np.median(levels))


def _step(
    distribution: space.Distribution,
    coordinate: Coordinate,
    reach: float,
    rng: np.random.Generator,
) -> Coordinate:
    axis = distribution.axis()
    if not isinstance(axis, Interval):
        return distribution.draw(rng) if rng.random() < 0.1 else coordinate
    low, high, x = axis.low, axis.high, float(coordinate)
    if axis.log:
        low, high, x = math.log(low), math.log(high), math.log(x)
    x = min(max(x + rng.normal() * reach * (high - low), low), high)
    return min(max(math.exp(x), axis.low), axis.high) if axis.log else x


def _log_uniform(low: float, high: float) -> space.LogUniform:
    return space.LogUniform(distribution="log_uniform_values", min=low, max=high)


def _log_draw(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))

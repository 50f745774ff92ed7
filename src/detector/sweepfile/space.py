"""What a sweep searches: the distributions that a W&B sweep file knows, and points drawn from them.

A point lies on axes, one for each parameter that varies: an interval or a choice, the form that
samplers understand. Each distribution says which axis it lies on, how its prior draws a coordinate
there, and which value a coordinate means. How a sampler moves on the axes is not decided here.

Source of the meanings: the W&B documentation, "Sweep configuration options", and the engine
`sweeps` 0.3.0 that implements it.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist
from typing import Annotated, Literal, get_args

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

from detector.search.axes import Axis, Choice, Coordinate, Interval

Number = int | float
Positive = Annotated[float, Field(gt=0)]

_OPEN_UNIT = (1e-9, 1 - 1e-9)
"""Probabilities whose quantiles are finite."""

_LARGEST_EXPONENT = 700
"""exp of more than about 709 overflows a float."""


def _check_plain(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{value!r} is no finite number") from error
    except TypeError as error:
        raise ValueError(
            f"{value!r} is no plain value; put text in quotes, since YAML reads a bare 2024-01-31 "
            "as a date"
        ) from error
    return value


Plain = Annotated[object, AfterValidator(_check_plain)]
"""Text, a number, true or false, null, or lists and mappings of these: what JSON can hold."""


@dataclass(frozen=True)
class Extent:
    """Where a parameter was searched, as a chart shows it.

    Attributes:
        scale: on which equal distances are equally likely, or "choice" of single values.
        low, high: the ends of the scale; None where it has none.
        values: of a choice, as text: numbers by size, others as the file lists them.
    """

    scale: Literal["linear", "log", "choice"]
    low: float | None = None
    high: float | None = None
    values: Sequence[str] = ()


class Distribution(BaseModel, ABC):
    """The values of one parameter, and how likely each is before anything was tried."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @abstractmethod
    def axis(self) -> Axis | None:
        """Where a sampler moves; None for a parameter that does not vary."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Coordinate:
        """A coordinate drawn from the distribution."""

    @abstractmethod
    def extent(self) -> Extent:
        """Where values lie."""

    @abstractmethod
    def at(self, coordinate: Coordinate) -> object:
        """The parameter's value at a coordinate."""

    def grid(self) -> Sequence[object] | None:
        """Every value, in order; None where they cannot be enumerated."""
        return None


class Constant(Distribution):
    """One value."""

    distribution: Literal["constant"] = "constant"
    value: Plain

    @override
    def axis(self) -> None:
        return None

    @override
    def extent(self) -> Extent:
        return Extent("choice", values=[str(self.value)])

    @override
    def draw(self, rng: np.random.Generator) -> str:
        return _label(self.value)

    @override
    def at(self, coordinate: Coordinate) -> object:
        return self.value

    @override
    def grid(self) -> Sequence[object]:
        return [self.value]


class Categorical(Distribution):
    """One of some values of any types, equally likely unless `probabilities` says otherwise."""

    distribution: Literal["categorical", "categorical_w_probabilities"] = "categorical"
    values: Annotated[list[Plain], Field(min_length=1)]
    probabilities: list[Annotated[float, Field(ge=0)]] | None = None

    @model_validator(mode="after")
    def _values_are_distinct(self) -> "Categorical":
        labels = [_label(value) for value in self.values]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"the value {twice} stands in `values` more than once")
        return self

    @model_validator(mode="after")
    def _probabilities_add_up(self) -> "Categorical":
        if self.probabilities is None:
            if self.distribution == "categorical_w_probabilities":
                raise ValueError("categorical_w_probabilities needs `probabilities`")
            return self
        if self.distribution == "categorical":
            raise ValueError("probabilities belong to categorical_w_probabilities")
        if len(self.probabilities) != len(self.values):
            raise ValueError(
                f"{len(self.probabilities)} probabilities are given for {len(self.values)} values"
            )
        if not math.isclose(sum(self.probabilities), 1, abs_tol=1e-6):
            raise ValueError(f"the probabilities add up to {sum(self.probabilities):g}, not to 1")
        return self

    @override
    def axis(self) -> Choice:
        labels = tuple(_label(value) for value in self.values)
        probabilities = None if self.probabilities is None else tuple(self.probabilities)
        return Choice(labels, probabilities, self._order())

    def _order(self) -> tuple[int, ...] | None:
        """The values' indices from the smallest to the largest, if all of them are numbers."""
        numbers = [value for value in self.values if isinstance(value, int | float)]
        if len(numbers) < len(self.values):
            return None
        return tuple(sorted(range(len(numbers)), key=numbers.__getitem__))

    @override
    def extent(self) -> Extent:
        order = self._order() or range(len(self.values))
        return Extent("choice", values=[str(self.values[index]) for index in order])

    @override
    def draw(self, rng: np.random.Generator) -> str:
        index = rng.choice(len(self.values), p=self.probabilities)
        return _label(self.values[index])

    @override
    def at(self, coordinate: Coordinate) -> object:
        return next(value for value in self.values if _label(value) == coordinate)

    @override
    def grid(self) -> Sequence[object] | None:
        return self.values if self.probabilities is None else None


class IntUniform(Distribution):
    """Whole numbers, both ends included."""

    distribution: Literal["int_uniform"] = "int_uniform"
    min: int
    max: int

    @model_validator(mode="after")
    def _min_is_below_max(self) -> "IntUniform":
        _check_order(self.min, self.max)
        return self

    @override
    def axis(self) -> Interval:
        return Interval(self.min, self.max, integer=True)

    @override
    def extent(self) -> Extent:
        return Extent("linear", self.min, self.max)

    @override
    def draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.min, self.max, endpoint=True))

    @override
    def at(self, coordinate: Coordinate) -> int:
        return int(coordinate)

    @override
    def grid(self) -> Sequence[int]:
        return range(self.min, self.max + 1)


class _Quantisable(Distribution):
    """A distribution of real numbers X, whose `q_` form gives round(X / q) * q, as W&B defines it.

    The rounded value can lie outside `min` and `max` by up to half a `q`.
    """

    distribution: str
    q: Annotated[Number, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _q_belongs_to_a_q_form(self) -> "_Quantisable":
        if self.q is not None and not self.distribution.startswith("q_"):
            raise ValueError(f"q has no meaning for {self.distribution}, only for its q_ form")
        return self

    @property
    def _step(self) -> float | None:
        """Of the values' lattice, in the `q_` forms."""
        return float(self.q or 1) if self.distribution.startswith("q_") else None

    def real(self, coordinate: Coordinate) -> float:
        """X at a coordinate, before any rounding."""
        return float(coordinate)

    @override
    def at(self, coordinate: Coordinate) -> Number:
        x = self.real(coordinate)
        if not self.distribution.startswith("q_"):
            return x
        step = 1 if self.q is None else self.q
        count = round(x / step)
        # In decimal, since 3 * 0.1 is not 0.3 in binary.
        return count * step if isinstance(step, int) else float(count * Decimal(repr(step)))


class Uniform(_Quantisable):
    """Real numbers, all equally likely."""

    distribution: Literal["uniform", "q_uniform"] = "uniform"
    min: Number
    max: Number

    @model_validator(mode="after")
    def _min_is_below_max(self) -> "Uniform":
        _check_order(self.min, self.max)
        return self

    @override
    def axis(self) -> Interval:
        return Interval(self.min, self.max, step=self._step)

    @override
    def extent(self) -> Extent:
        return Extent("linear", self.min, self.max)

    @override
    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.min, self.max))

    @override
    def grid(self) -> Sequence[Number] | None:
        """`min`, `min` + q, ... up to `max`; W&B leaves `max` itself out."""
        if self.distribution != "q_uniform":
            return None
        step = Decimal(repr(1 if self.q is None else self.q))
        low, high = Decimal(repr(self.min)), Decimal(repr(self.max))
        whole = isinstance(self.min, int) and not isinstance(self.q, float)
        points = [low + i * step for i in range(int((high - low) / step) + 1)]
        return [int(point) if whole else float(point) for point in points]


class LogUniform(_Quantisable):
    """X where log X is uniform; for the inverse forms log(1/X), which is uniform as well.

    The forms in `_values` take the limits of X, the others the limits of log X or log(1/X).
    """

    distribution: Literal[
        "log_uniform",
        "log_uniform_values",
        "q_log_uniform",
        "q_log_uniform_values",
        "inv_log_uniform",
        "inv_log_uniform_values",
    ]
    min: Number
    max: Number

    @property
    def takes_exponents(self) -> bool:
        """Whether `min` and `max` are of the logarithm."""
        return not self.distribution.endswith("_values")

    @model_validator(mode="after")
    def _limits_are_positive_numbers(self) -> "LogUniform":
        _check_order(self.min, self.max)
        if not self.takes_exponents and self.min <= 0:
            raise ValueError(f"min {self.min} is not above 0")
        if self.takes_exponents and max(abs(self.min), abs(self.max)) > _LARGEST_EXPONENT:
            raise ValueError(
                f"min {self.min} and max {self.max} are exponents of e and too large; "
                f"{self.distribution}_values takes the limits themselves"
            )
        return self

    @override
    def axis(self) -> Interval:
        return Interval(*self._limits(), log=True, step=self._step)

    @override
    def extent(self) -> Extent:
        return Extent("log", *self._limits())

    @override
    def draw(self, rng: np.random.Generator) -> float:
        low, high = self._limits()
        drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
        return min(max(drawn, low), high)

    def _limits(self) -> tuple[float, float]:
        if not self.takes_exponents:
            return self.min, self.max
        if self.distribution == "inv_log_uniform":
            return math.exp(-self.max), math.exp(-self.min)
        return math.exp(self.min), math.exp(self.max)


class Normal(_Quantisable):
    """Normal, or log-normal. Its axis is the probability below X, since X has no limits: the `q_`
    forms have no lattice on it."""

    distribution: Literal["normal", "q_normal", "log_normal", "q_log_normal"]
    mu: float = 0.0
    sigma: Positive = 1.0

    @override
    def axis(self) -> Interval:
        return Interval(*_OPEN_UNIT)

    @override
    def extent(self) -> Extent:
        return Extent("log" if "log" in self.distribution else "linear")

    @override
    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(*_OPEN_UNIT))

    @override
    def real(self, coordinate: Coordinate) -> float:
        x = NormalDist(self.mu, self.sigma).inv_cdf(float(coordinate))
        return math.exp(x) if "log" in self.distribution else x


class Beta(_Quantisable):
    """Real numbers from 0 to 1, Beta(a, b)."""

    distribution: Literal["beta", "q_beta"]
    a: Positive = 1.0
    b: Positive = 1.0

    @override
    def axis(self) -> Interval:
        return Interval(0.0, 1.0, beta=(self.a, self.b))

    @override
    def extent(self) -> Extent:
        return Extent("linear", 0.0, 1.0)

    @override
    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.beta(self.a, self.b))


Space = Mapping[str, Distribution]
"""Distributions by parameter name."""

FAMILIES: dict[str, type[Distribution]] = {
    name: family
    for family in (Constant, Categorical, IntUniform, Uniform, LogUniform, Normal, Beta)
    for name in get_args(family.model_fields["distribution"].annotation)
}
"""The class of each value that `distribution` may have."""


def axes(space: Space) -> dict[str, Axis]:
    """The axes of the parameters that vary."""
    named = {name: distribution.axis() for name, distribution in space.items()}
    return {name: axis for name, axis in named.items() if axis is not None}


def off_centre(params: Mapping[str, object], space: Space) -> float:
    """How far a configuration lies from the middle of the ranges searched: 0 in the middle of all,
    1 at their ends.

    Values that have no order, and parameters that were not searched, do not count.
    """
    distances = [
        abs(2 * axis.position(value) - 1)
        for name, axis in axes(space).items()
        if isinstance(axis, Interval) and isinstance(value := params.get(name), int | float)
    ]
    return float(np.mean(distances)) if distances else 0.0


def draw(space: Space, rng: np.random.Generator) -> dict[str, Coordinate]:
    """A point drawn from the prior, one coordinate for each axis."""
    return {name: space[name].draw(rng) for name in axes(space)}


def values(space: Space, point: Mapping[str, Coordinate]) -> dict[str, object]:
    """The parameters at a point, constants among them."""
    return {
        name: distribution.value
        if isinstance(distribution, Constant)
        else distribution.at(point[name])
        for name, distribution in space.items()
    }


def grid_size(space: Space) -> int:
    """How many points the full grid has."""
    return math.prod(len(_enumerated(name, space)) for name in space)


def grid_point(space: Space, number: int) -> dict[str, object]:
    """The parameters of the grid's point `number`, from 0; the last parameter changes fastest.

    >>> space = {"a": Categorical(values=[1, 2]), "b": IntUniform(min=5, max=6)}
    >>> [grid_point(space, number) for number in range(grid_size(space))][:2]
    [{'a': 1, 'b': 5}, {'a': 1, 'b': 6}]
    """
    point: dict[str, object] = {}
    for name in reversed(list(space)):
        candidates = _enumerated(name, space)
        number, index = divmod(number, len(candidates))
        point[name] = candidates[index]
    return {name: point[name] for name in space}


def _enumerated(name: str, space: Space) -> Sequence[object]:
    candidates = space[name].grid()
    if candidates is None:
        raise ValueError(f"the values of {name} cannot be enumerated")
    return candidates


def _check_order(low: Number, high: Number) -> None:
    if not low < high:
        raise ValueError(f"min {low} is not less than max {high}")


def _label(value: object) -> str:
    """JSON tells True from 1, and 1 from 1.0, as Python's equality does not."""
    return json.dumps(value, sort_keys=True)

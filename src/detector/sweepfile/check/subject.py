"""What is checked: a sweep file with the configuration that its trials would start from."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

from detector.config.keys import known_keys
from detector.config.schema import Config
from detector.search.axes import Choice, Interval
from detector.search.hyperband import Hyperband
from detector.sweepfile.check.document import Document, Parameter
from detector.sweepfile.command import is_detector
from detector.sweepfile.space import Categorical, Constant, Distribution
from detector.sweepfile.spec import SweepSpec

_EPOCH_NAMES = ("epochs", "max_epochs", "num_epochs", "n_epochs", "num_train_epochs", "nepochs")
"""What programs call their number of epochs."""


@dataclass(frozen=True)
class Reach:
    """The values that a key may take in a trial: some, or all between two ends."""

    low: float
    high: float
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Subject:
    """A sweep file, and what it is checked against.

    Attributes:
        document: its text and the places in it.
        spec: what was read of it; None where it is not valid.
        config: the configuration that the trials start from.
        incumbents: configurations known to be good: that of the preset, and that of the overrides.
        agents: how many agents are going to work on it, if that is known.
    """

    document: Document
    spec: SweepSpec | None
    config: Config
    incumbents: Sequence[Config]
    agents: int | None

    @property
    def method(self) -> object:
        """What stands at `method`."""
        return self.document.value("method")

    @property
    def metric(self) -> str | None:
        """The metric's name, None where none is given."""
        name = self.document.value("metric", "name")
        return name if isinstance(name, str) else None

    @cached_property
    def trains_detector(self) -> bool:
        """Whether the file's trials train the detector."""
        command, program = self.document.value("command"), self.document.value("program")
        words = [str(word) for word in command] if isinstance(command, list) else None
        return is_detector(words, program if isinstance(program, str) else None)

    @cached_property
    def has_configuration(self) -> bool:
        """Whether the parameters are those of the detector's configuration, whatever program it is
        that trains: they are names that others use as well."""
        known = set(known_keys())
        hits = sum(parameter.name in known for parameter in self.parameters)
        return self.trains_detector or 0 < len(self.parameters) <= 2 * hits

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters, nested ones by their whole name."""
        return self.document.parameters

    def valid_parameters(self) -> Iterator[tuple[Parameter, Distribution]]:
        """The parameters whose distribution can be read."""
        for parameter in self.parameters:
            if parameter.distribution is not None:
                yield parameter, parameter.distribution

    def varying(self) -> list[Parameter]:
        """The parameters that take more than one value."""
        return [p for p, distribution in self.valid_parameters() if not is_constant(distribution)]

    def line(self, *path: str) -> int:
        """The line of the deepest key of a path that the file has."""
        for depth in range(len(path), 0, -1):
            entry = self.document.get(*path[:depth])
            if entry is not None:
                return entry.line
        return 1

    def reach(self, key: str) -> Reach | None:
        """The numbers that a configuration key may take; None where they are not known."""
        parameter = self.document.parameter(key)
        if parameter is not None:
            return reach(parameter.distribution) if parameter.distribution else None
        value = config_value(self.config, key)
        return Reach(value, value, (value,)) if is_number(value) else None

    @cached_property
    def epochs(self) -> tuple[int, int] | None:
        """The fewest and the most epochs of a trial; None where a program does not say."""
        if self.has_configuration:
            found = self.reach("trainer.max_epochs")
        else:
            named = (
                p for p in self.parameters if p.name.rsplit(".", 1)[-1].lower() in _EPOCH_NAMES
            )
            parameter = next(named, None)
            found = reach(parameter.distribution) if parameter and parameter.distribution else None
        return (int(found.low), int(found.high)) if found else None

    @property
    def hyperband(self) -> Hyperband | None:
        """The bands of a file whose `early_terminate` can be read."""
        settings = self.document.value("early_terminate")
        if not isinstance(settings, dict):
            return None
        known = {k: settings[k] for k in ("min_iter", "max_iter", "s", "eta") if k in settings}
        if not all(is_number(value) for value in known.values()) or known.get("eta", 3) <= 1:
            return None
        if "max_iter" in known and not isinstance(known.get("s"), int):
            return None
        if not {"min_iter", "max_iter"} & known.keys() or known.get("min_iter", 1) < 1:
            return None
        return Hyperband(**known)


def config_value(config: Config, key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    node: Any = config.to_dict()
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_constant(distribution: Distribution) -> bool:
    """Whether a distribution has one value only."""
    if isinstance(distribution, Constant):
        return True
    return isinstance(distribution, Categorical) and len(distribution.values) == 1


def reach(distribution: Distribution) -> Reach | None:
    """The numbers that a distribution may give; None where they are no numbers."""
    if isinstance(distribution, Constant | Categorical):
        values = distribution.grid() if isinstance(distribution, Constant) else distribution.values
        numbers = tuple(float(v) for v in values or () if is_number(v))
        if not numbers or len(numbers) != len(values or ()):
            return None
        return Reach(min(numbers), max(numbers), numbers)
    ends = extremes(distribution)
    return Reach(*ends) if ends else None


def extremes(distribution: Distribution) -> tuple[float, float] | None:
    """The least and the greatest value on an axis of numbers."""
    axis = distribution.axis()
    if not isinstance(axis, Interval):
        return None
    low, high = distribution.at(axis.low), distribution.at(axis.high)
    return (low, high) if is_number(low) and is_number(high) else None


def samples(distribution: Distribution, count: int = 65) -> list[object]:
    """Values all over a distribution's axis, its ends included."""
    axis = distribution.axis()
    if axis is None:
        return list(distribution.grid() or ())
    if isinstance(axis, Choice):
        return [distribution.at(label) for label in axis.labels]
    steps = [i / (count - 1) for i in range(count)]
    if axis.log:
        points = [axis.low * (axis.high / axis.low) ** step for step in steps]
    else:
        points = [axis.low + (axis.high - axis.low) * step for step in steps]
    return [
        distribution.at(round(p) if axis.integer else min(max(p, axis.low), axis.high))
        for p in points
    ]

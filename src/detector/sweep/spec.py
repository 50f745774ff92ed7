"""The sweep file: W&B's YAML, read and checked. What its search space means stands in `space`.

A file that is accepted here is one that `wandb sweep` accepts, with the same meaning. What W&B
knows and detsweep does not is an error, never silently without effect.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from detector.config import known_keys, nearest_key
from detector.errors import SweepError
from detector.sweep import space
from detector.sweep.hyperband import Goal, Hyperband

DEFAULT_METRIC = "val/hmean"

_PROGRAM = "detsweep"
_ONLY_W_AND_B = {
    "apiVersion",
    "kind",
    "controller",
    "job",
    "image_uri",
    "metrics",
    "scheduler",
    "target",
    "impute",
    "impute_while_running",
}
"""Keys of W&B's schema that have no counterpart here."""

_UNION_MEMBERS = {"int", "float"}
"""What pydantic adds to the place of an error in a value that may be of either type."""

_NOT_IN_THE_FILE = {"source", "warnings"}

_FIXED_BY_PREPARE = ("preset", "data.path", "data.group_column", "data.held_out_fraction", "folds.")
_RISING_METRICS = ("hmean", "recall", "precision", "accuracy", "f1")
_NUMBER_WITHOUT_DOT = re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+")
_COMMAND_MACRO = re.compile(r"\$\{.+\}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MetricSpec(_Section):
    """What a sweep goes by: the metric's name as `TrialHandle.report` gets it."""

    name: str
    goal: Goal = "minimize"


class EarlyTerminateSpec(_Section):
    """`early_terminate`, with W&B's defaults; see `hyperband`."""

    type: Literal["hyperband"]
    min_iter: Annotated[int, Field(ge=1)] | None = None
    max_iter: Annotated[int, Field(ge=1)] | None = None
    s: Annotated[int, Field(ge=1)] | None = None
    eta: Annotated[float, Field(gt=1)] = 3
    strict: bool = True

    @model_validator(mode="after")
    def _has_bands(self) -> "EarlyTerminateSpec":
        if self.max_iter is None and self.min_iter is None:
            raise ValueError("min_iter, or max_iter and s, must be given")
        if self.max_iter is not None and self.s is None:
            raise ValueError("max_iter needs s, the number of bands below it")
        if not self.rule().bands():
            raise ValueError(
                f"max_iter {self.max_iter} with eta {self.eta:g} leaves no band of at least 1"
            )
        return self

    def rule(self) -> Hyperband:
        return Hyperband(self.min_iter, self.max_iter, self.s, self.eta, self.strict)


class SweepSpec(_Section):
    """A sweep file.

    Attributes:
        parameters: distributions by dotted configuration key; nested parameters are flattened.
        run_cap: number of trials; None lets bayes and random go on until they are stopped.
        source: the text that this was read from.
        warnings: what is allowed but probably not meant.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    method: Literal["grid", "random", "bayes"]
    parameters: dict[str, space.Distribution]
    metric: MetricSpec = MetricSpec(name=DEFAULT_METRIC, goal="maximize")
    early_terminate: EarlyTerminateSpec | None = None
    run_cap: Annotated[int, Field(ge=1)] | None = None
    name: str | None = None
    description: str | None = None
    program: str | None = None
    project: str | None = None
    entity: str | None = None
    command: tuple[str, ...] | None = None
    source: str = Field("", repr=False)
    warnings: tuple[str, ...] = ()

    @field_validator("command", mode="before")
    @classmethod
    def _command_is_a_list(cls, command: object) -> object:
        return tuple(command) if isinstance(command, list) else command

    @property
    def trial_limit(self) -> int | None:
        """How many trials the sweep has; None where only a person ends it."""
        if self.method != "grid":
            return self.run_cap
        size = space.grid_size(self.parameters)
        return size if self.run_cap is None else min(size, self.run_cap)

    @property
    def seed(self) -> int:
        """Drawn from what decides the search, so that one file always gives the same random points
        and a constant parameter, such as `seed`, gives others."""
        decisive = self.model_dump(
            mode="json",
            include={"method", "metric", "parameters", "run_cap"},
            serialize_as_any=True,
        )
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).digest()
        return int.from_bytes(digest[:4])

    def bands(self) -> list[int]:
        """The epochs at which early termination compares trials; none without it."""
        return self.early_terminate.rule().bands() if self.early_terminate else []


def parse_sweep(text: str, where: str) -> SweepSpec:
    """Read and check a sweep file whose parameters are configuration keys.

    Args:
        text: the file's content.
        where: the file's name, for errors.

    Raises:
        SweepError: not YAML, a key or value that the schema does not allow, something that detsweep
            does not support, or a parameter that is no configuration key.
    """
    spec = read_sweep(text, where)
    check_parameter_names(spec.parameters, where)
    return spec


def read_sweep(text: str, where: str) -> SweepSpec:
    """`parse_sweep`, but with parameters of any names."""
    tree, warnings = _load_yaml(text, where)
    for key in _NOT_IN_THE_FILE & tree.keys():
        raise _unknown_key([key], SweepSpec, f"{where}: {key}")
    tree["parameters"] = _parse_parameters(tree.get("parameters"), where)
    tree["source"] = text
    try:
        spec = SweepSpec.model_validate(tree)
    except ValidationError as error:
        raise _as_sweep_error(error, SweepSpec, where, "") from error
    _check_support(spec, "metric" in tree, where)
    return spec.model_copy(update={"warnings": (*warnings, *_warnings(spec, where))})


def check_parameter_names(names: Iterable[str], where: str) -> None:
    """Every parameter must be a configuration key that a trial may change.

    Raises:
        SweepError: naming the first that is not, and the nearest key.
    """
    known = set(known_keys())
    for name in names:
        if name not in known:
            near = nearest_key(name)
            raise SweepError(
                f"{name!r} is not a configuration key",
                where=f"{where}: parameters.{name}",
                remedy=f"did you mean {near!r}?"
                if near
                else "`detsweep config keys` lists what a sweep may vary",
            )
        if name.startswith(_FIXED_BY_PREPARE):
            raise SweepError(
                f"{name!r} is settled before the sweep begins, so a trial cannot change it",
                where=f"{where}: parameters.{name}",
                remedy="give it to the run as an override and take it out of the sweep file",
            )


class _Loader(yaml.SafeLoader):
    """YAML as W&B reads it, but `1e-5` is a number, and a key that stands twice is an error."""

    def __init__(self, text: str):
        super().__init__(text)
        self.dotless_numbers: list[tuple[int, str]] = []


def _number_without_dot(loader: _Loader, node: yaml.ScalarNode) -> float:
    loader.dotless_numbers.append((node.start_mark.line + 1, node.value))
    return float(node.value.replace("_", ""))


def _unique_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} stands here twice", key.start_mark
            )
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_implicit_resolver(
    "!number_without_dot", re.compile(f"^{_NUMBER_WITHOUT_DOT.pattern}$"), list("-+0123456789")
)
_Loader.add_constructor("!number_without_dot", _number_without_dot)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _load_yaml(text: str, where: str) -> tuple[dict[str, Any], list[str]]:
    try:
        loader = _Loader(text)
        tree = loader.get_single_data()
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise SweepError(f"not valid YAML: {error}", where=where, remedy="mend it") from error
    if not isinstance(tree, dict):
        raise SweepError(
            "a mapping with `method` and `parameters` is expected",
            where=where,
            remedy="write the file as for `wandb sweep`",
        )
    warnings = [
        f"{where}, line {line}: {number} is text in YAML 1.1, which `wandb sweep` would refuse; "
        f"it is read as a number here; write {_with_dot(number)}"
        for line, number in loader.dotless_numbers
    ]
    return tree, warnings


def _with_dot(number: str) -> str:
    mantissa, exponent = re.split("[eE]", number)
    sign = "" if exponent[0] in "+-" else "+"
    return f"{mantissa}.0e{sign}{exponent}"


def _parse_parameters(tree: object, where: str, prefix: str = "") -> dict[str, space.Distribution]:
    location = f"{where}: parameters{'.' + prefix if prefix else ''}"
    if not isinstance(tree, dict) or not tree:
        raise SweepError(
            "a mapping of parameters is expected",
            where=location.rstrip("."),
            remedy="name at least one, for example `models.optimizer.lr: {min: …, max: …}`",
        )
    parsed: dict[str, space.Distribution] = {}
    for key, node in tree.items():
        name = f"{prefix}{key}"
        if isinstance(node, dict) and "parameters" in node:
            _refuse_keys_beside_nested(node, f"{where}: parameters.{name}")
            found = _parse_parameters(node["parameters"], where, f"{name}.")
        else:
            found = {name: _parse_distribution(node, where, name)}
        twice = found.keys() & parsed.keys()
        if twice:
            raise SweepError(
                f"the parameter {twice.pop()!r} stands here twice, nested and with dots",
                where=where,
                remedy="keep one of them",
            )
        parsed |= found
    return parsed


def _refuse_keys_beside_nested(node: Mapping[str, object], where: str) -> None:
    beside = [key for key in node if key not in {"parameters", "distribution"}]
    if beside:
        raise SweepError(
            f"{beside[0]!r} cannot stand beside nested `parameters`",
            where=where,
            remedy="a parameter has either a distribution or parameters of its own",
        )


def _parse_distribution(node: object, where: str, name: str) -> space.Distribution:
    location = f"{where}: parameters.{name}"
    if not isinstance(node, dict):
        raise SweepError(
            f"{node!r} is not a distribution",
            where=location,
            remedy=f"write `{{value: {node}}}` for a constant, or `values`, or `min` and `max`",
        )
    kind = node.get("distribution", _kind_by_keys(node, location))
    family = space.FAMILIES.get(str(kind))
    if family is None:
        raise SweepError(
            f"there is no distribution {kind!r}{_did_you_mean(str(kind), space.FAMILIES)}",
            where=location,
            remedy=f"choose one of {', '.join(sorted(space.FAMILIES))}",
        )
    try:
        return family.model_validate({**node, "distribution": kind})
    except ValidationError as error:
        raise _as_sweep_error(error, family, where, f"parameters.{name}.") from error


def _kind_by_keys(node: Mapping[str, object], where: str) -> str:
    """W&B's choice of distribution where the file names none."""
    if "value" in node:
        return "constant"
    if "values" in node:
        return "categorical"
    if "min" in node and "max" in node:
        whole = all(type(node[key]) is int for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    if "distribution" in node:
        return ""
    raise SweepError(
        f"{sorted(map(str, node))} do not make a distribution",
        where=where,
        remedy="give `value`, `values`, `min` and `max`, or name a `distribution`",
    )


def _check_support(spec: SweepSpec, has_metric: bool, where: str) -> None:
    if not has_metric and (spec.method == "bayes" or spec.early_terminate):
        raise SweepError(
            "bayes and early_terminate need a metric",
            where=where,
            remedy=f"add `metric: {{name: {DEFAULT_METRIC}, goal: maximize}}`",
        )
    if spec.method == "grid":
        _check_grid(spec.parameters, where)
    if spec.command is not None:
        _check_command(spec, where)


def _check_grid(parameters: space.Space, where: str) -> None:
    for name, distribution in parameters.items():
        if distribution.grid() is None:
            raise SweepError(
                "a grid needs values that can be enumerated",
                where=f"{where}: parameters.{name}",
                remedy="use `values` without probabilities, int_uniform or q_uniform, "
                "or another method",
            )


def _check_command(spec: SweepSpec, where: str) -> None:
    """The trials are trained by the agent itself, so a command may only say the same."""
    words = [spec.program if word == "${program}" else word for word in spec.command or ()]
    plain = [word for word in words if word and not _COMMAND_MACRO.fullmatch(word)]
    if not plain or PurePath(plain[0]).name != _PROGRAM:
        raise SweepError(
            f"the command runs {plain[0] if plain else 'no program'!r}; "
            "an agent of detsweep trains the detector itself",
            where=f"{where}: command",
            remedy="take out `command`, or run this sweep with `wandb agent`",
        )
    extra = [word for word in plain[1:] if word != "train"]
    if extra:
        raise SweepError(
            f"{extra[0]!r} would have no effect: an agent starts no command",
            where=f"{where}: command",
            remedy="make it a parameter with a single `value`, or an override of the run",
        )


def _warnings(spec: SweepSpec, where: str) -> list[str]:
    found = []
    if spec.method != "grid" and spec.run_cap is None:
        found.append(
            f"{where}: {spec.method} without run_cap never ends; add run_cap, start agents with "
            "--count, or end it with `detsweep sweep stop`"
        )
    rises = spec.metric.name.rsplit("/", 1)[-1].startswith(_RISING_METRICS)
    if rises and spec.metric.goal == "minimize":
        found.append(
            f"{where}: the goal for {spec.metric.name} is minimize (W&B's default), but more is "
            "better; write `goal: maximize`"
        )
    if spec.program is not None and PurePath(spec.program).name != _PROGRAM:
        found.append(
            f"{where}: program {spec.program!r} is not run: an agent trains the detector itself"
        )
    found += [
        f"{where}: {name} uses {distribution.distribution}, whose min and max are exponents of e: "
        f"{_exponent_range(distribution)}; {distribution.distribution}_values takes the limits"
        for name, distribution in spec.parameters.items()
        if isinstance(distribution, space.LogUniform) and distribution.takes_exponents
    ]
    return found


def _exponent_range(distribution: space.LogUniform) -> str:
    axis = distribution.axis()
    return f"the values lie between {axis.low:.4g} and {axis.high:.4g}"


def _as_sweep_error(
    error: ValidationError, model: type[BaseModel], where: str, prefix: str
) -> SweepError:
    # A misspelt key is the reason where another is missing, so it is named first.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"] if part not in _UNION_MEMBERS]
    location = f"{where}: {prefix}{'.'.join(path)}".rstrip(".: ")
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, model, location)
    if first["type"] == "missing":
        return SweepError(
            f"the key {path[-1]!r} is missing", where=location, remedy="add it to the file"
        )
    if first["type"] == "value_error":
        return SweepError(str(first["ctx"]["error"]), where=location, remedy="mend the value")
    return SweepError(
        f"{first['input']!r} is not allowed: {first['msg']}",
        where=location,
        remedy="mend the value",
    )


def _unknown_key(path: list[str], model: type[BaseModel], location: str) -> SweepError:
    key = path[-1]
    if key in _ONLY_W_AND_B:
        return SweepError(
            f"detsweep does not support W&B's {key!r}", where=location, remedy="take it out"
        )
    sections: dict[str, type[BaseModel]] = {
        "metric": MetricSpec,
        "early_terminate": EarlyTerminateSpec,
    }
    owner = sections.get(path[0], model) if len(path) > 1 else model
    allowed = [name for name in owner.model_fields if name not in _NOT_IN_THE_FILE]
    return SweepError(
        f"there is no key {key!r} here{_did_you_mean(key, allowed)}",
        where=location,
        remedy=f"allowed are {', '.join(allowed)}",
    )


def _did_you_mean(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""

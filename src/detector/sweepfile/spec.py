"""The sweep file: W&B's YAML, read and checked. What its search space means stands in `space`.

A file that is accepted here means what it means to `wandb sweep`. What W&B knows and detsweep does
not is an error, never silently without effect. Whether a valid file is a good one is not decided
here but in `check`.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from detector.config.keys import Key, known_keys, text_keys
from detector.config.loading import nearest_key
from detector.config.metrics import METRIC
from detector.config.texts import children, keep_names, keep_text
from detector.errors import SweepError, did_you_mean
from detector.search.hyperband import Goal, Hyperband
from detector.sweepfile import space
from detector.sweepfile.command import MACROS, is_detector, macro_of, plain_words

_ONLY_W_AND_B = {"metrics", "scheduler"}
"""Keys of W&B's schema that have no counterpart here: a search of the user's own."""

_UNION_MEMBERS = {"int", "float"}
"""What pydantic adds to the place of an error in a value that may be of either type."""

_TEXTS = ("name", "description", "program", "project", "entity", "job", "image_uri")

_NOT_IN_THE_FILE = {"source", "paths"}

_FIXED_BY_PREPARE = (
    "preset",
    "data.path",
    "data.group_column",
    "data.group_by",
    "data.format",
    "data.held_out",
    "data.held_out_fraction",
    "data.allow_duplicates",
    "folds.",
)
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NUMBER_WITHOUT_DOT = re.compile(r"[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+")

Imputation = Literal["worst", "best", "latest"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MetricSpec(_Section):
    """What a sweep goes by.

    Attributes:
        name: as `TrialHandle.report` gets it.
        target: no trial is begun any more once one has reached this.
        impute, impute_while_running: how W&B's engine scores trials that failed or still run. The
            search here has ways of its own for both, so that these have no effect.
    """

    name: str
    goal: Goal = "minimize"
    target: float | None = None
    impute: Imputation = "worst"
    impute_while_running: Imputation | Literal["false"] = "false"

    def is_reached(self, value: float) -> bool:
        """Whether a value of the metric is as good as the target."""
        if self.target is None:
            return False
        return value >= self.target if self.goal == "maximize" else value <= self.target


class ControllerSpec(BaseModel):
    """Whether W&B's own search runs on its server. Here the agents search, so no effect."""

    model_config = ConfigDict(frozen=True, strict=True)

    type: Literal["local", "cloud"]


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
        """The rule that these settings describe."""
        return Hyperband(self.min_iter, self.max_iter, self.s, self.eta, self.strict)


class OwnSpec(_Section):
    """`detsweep`: what W&B's files have no key for.

    Attributes:
        stopping: `adaptive` ends trials by detsweep's own rule, whatever else the file says.
    """

    stopping: Literal["adaptive"] | None = None


class SweepSpec(_Section):
    """A sweep file.

    Attributes:
        parameters: distributions by dotted name; nested parameters are flattened.
        run_cap: number of trials; None lets bayes and random go on until they are stopped.
        program, command: what each trial runs, where it is not the training of a detector.
        api_version, kind, controller, job, image_uri: read, since W&B writes them; they concern its
            server and its Launch, and have no effect here.
        paths: for each parameter, the keys that lead to it in the file.
        source: the text that this was read from.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    method: Literal["grid", "random", "bayes"]
    parameters: dict[str, space.Distribution]
    metric: MetricSpec = MetricSpec(name=METRIC, goal="maximize")
    early_terminate: EarlyTerminateSpec | None = None
    run_cap: Annotated[int, Field(ge=1)] | None = None
    name: str | None = None
    description: str | None = None
    program: str | None = None
    project: str | None = None
    entity: str | None = None
    command: tuple[str, ...] | None = None
    api_version: str | None = Field(None, alias="apiVersion")
    kind: Literal["sweep"] | None = None
    controller: ControllerSpec | None = None
    detsweep: OwnSpec = OwnSpec()
    job: str | None = None
    image_uri: str | None = None
    paths: dict[str, tuple[str, ...]] = Field(default_factory=dict, repr=False)
    source: str = Field("", repr=False)

    @field_validator("command", mode="before")
    @classmethod
    def _command_is_a_list(cls, command: object) -> object:
        return tuple(map(str, command)) if isinstance(command, list) else command

    @property
    def trains_detector(self) -> bool:
        """Whether the trials are trainings of detsweep's detector, not runs of another program."""
        return is_detector(self.command, self.program)

    @property
    def constants(self) -> dict[str, object]:
        """The parameters that are the same in every trial."""
        return {
            name: given.value
            for name, given in self.parameters.items()
            if isinstance(given, space.Constant)
        }

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


def read_sweep_file(file: Path) -> str:
    """The text of a sweep file, its line ends as they are.

    Raises:
        SweepError: it cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise SweepError(
            f"cannot read the sweep file: {error.strerror}",
            where=str(file),
            remedy="check the path",
        ) from error
    except UnicodeDecodeError as error:
        raise SweepError(
            f"the sweep file is not UTF-8: {error.reason} at byte {error.start}",
            where=str(file),
            remedy="save it as UTF-8",
        ) from error


def parse_sweep(text: str, where: str) -> SweepSpec:
    """Read and check a sweep file.

    Where the trials train the detector, the parameters must be configuration keys.

    Args:
        text: the file's content.
        where: the file's name, for errors.

    Raises:
        SweepError: not YAML, a key or value that the schema does not allow, something that detsweep
            does not support, or a parameter that is no configuration key.
    """
    spec = read_sweep(text, where)
    if spec.trains_detector:
        check_parameter_names(spec.parameters, where)
    return spec


def read_sweep(text: str, where: str) -> SweepSpec:
    """`parse_sweep`, but with parameters of any names."""
    tree = load_yaml(text, where)
    for key in _NOT_IN_THE_FILE & tree.keys():
        raise _unknown_key([key], SweepSpec, f"{where}: {key}")
    found = list(_parse_parameters(tree.get("parameters"), where))
    _refuse_twice([name for name, _, _ in found], where)
    tree["parameters"] = {name: distribution for name, _, distribution in found}
    tree["paths"] = {name: path for name, path, _ in found}
    tree["source"] = text
    try:
        spec = SweepSpec.model_validate(tree)
    except ValidationError as error:
        raise _as_sweep_error(error, SweepSpec, where, "") from error
    _check_support(spec, "metric" in tree, where)
    return spec


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
        if is_settled(name):
            raise SweepError(
                f"{name!r} is settled before the sweep begins, so a trial cannot change it",
                where=f"{where}: parameters.{name}",
                remedy="give it to the run as an override and take it out of the sweep file",
            )


def is_settled(name: str) -> bool:
    """Whether a configuration key is settled before a sweep begins, so that no trial changes it."""
    return name.startswith(_FIXED_BY_PREPARE)


DOTLESS_TAG = "!number_without_dot"
"""The tag of a number such as 1e-5, which YAML 1.1, and so W&B, takes for text."""


class SweepLoader(yaml.SafeLoader):
    """YAML as W&B reads it, but `1e-5` is a number, and a key that stands twice is an error."""


def _number_without_dot(_: SweepLoader, node: yaml.ScalarNode) -> float:
    return float(node.value.replace("_", ""))


def _unique_mapping(loader: SweepLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} stands here twice", key.start_mark
            )
        seen.add(key.value)
    # Of a copy, for PyYAML replaces a merge key in the node itself, which is looked at again.
    whole = yaml.MappingNode(node.tag, list(node.value), node.start_mark, node.end_mark)
    return loader.construct_mapping(whole, deep=True)


SweepLoader.add_implicit_resolver(
    DOTLESS_TAG, re.compile(f"^{_NUMBER_WITHOUT_DOT.pattern}$"), list("-+0123456789")
)
SweepLoader.add_constructor(DOTLESS_TAG, _number_without_dot)
SweepLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping that a sweep file holds, unchecked.

    Raises:
        SweepError: not YAML, or no mapping.
    """
    try:
        document = document_of(text)
        tree = SweepLoader("").construct_document(document) if document else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date
        raise SweepError(f"not valid YAML: {error}", where=where, remedy="mend it") from error
    if not isinstance(tree, dict):
        raise SweepError(
            "a mapping with `method` and `parameters` is expected",
            where=where,
            remedy="write the file as for `wandb sweep`",
        )
    return tree


def document_of(text: str) -> yaml.Node | None:
    """The nodes of a sweep file, in which the values of text keys are text; None of an empty file.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    document: yaml.Node | None = SweepLoader(text).get_single_node()
    _keep_texts(document)
    return document


def _keep_texts(document: yaml.Node | None) -> None:
    """Have names, words of the command and the values of text keys be text as it is written; the
    parameters of a program of the user's own are what W&B would make of them."""
    sections = children(document)
    program, command = sections.get("program"), sections.get("command")
    metric = children(sections.get("metric"))
    words = command.value if _is_list(command) else []
    for text in (*words, *map(sections.get, _TEXTS), metric.get("name")):
        keep_text(text, may_be_null=True)
    said = [str(word.value) for word in words] if command else None
    known = is_detector(said, None if program is None else str(program.value))
    _keep_texts_of(sections.get("parameters"), text_keys() if known else {}, ())


def _keep_texts_of(
    parameters: yaml.Node | None, known: Mapping[str, Key], above: tuple[str, ...]
) -> None:
    keep_names(parameters)
    for name, node in children(parameters).items():
        path, settings = (*above, name), children(node)
        if "parameters" in settings:
            _keep_texts_of(settings["parameters"], known, path)
        elif key := known.get(".".join(path)):
            values = settings.get("values")
            for value in (settings.get("value"), *(values.value if _is_list(values) else ())):
                keep_text(value, may_be_null=key.may_be_null)


def _is_list(node: yaml.Node | None) -> TypeGuard[yaml.SequenceNode]:
    return isinstance(node, yaml.SequenceNode)


def _parse_parameters(
    tree: object, where: str, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...], space.Distribution]]:
    """Name, path of keys and distribution of every parameter."""
    if not isinstance(tree, dict) or not tree:
        raise SweepError(
            "a mapping of parameters is expected",
            where=f"{where}: {'.'.join(('parameters', *above))}",
            remedy="name at least one, for example `models.optimizer.lr: {min: …, max: …}`",
        )
    for key, node in tree.items():
        path = (*above, str(key))
        name = ".".join(path)
        if not _PARAMETER_NAME.fullmatch(str(key)):
            raise SweepError(
                f"{key!r} is no name for a parameter",
                where=f"{where}: parameters.{name}",
                remedy="use letters, digits, _, - and dots, with a letter or _ first",
            )
        if isinstance(node, dict) and "parameters" in node:
            _refuse_keys_beside_nested(node, f"{where}: parameters.{name}")
            yield from _parse_parameters(node["parameters"], where, path)
        else:
            yield name, path, parse_distribution(node, where, name)


def _refuse_twice(names: Sequence[str], where: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SweepError(
            f"the parameter {twice!r} stands here twice, nested and with dots",
            where=f"{where}: parameters.{twice}",
            remedy="keep one of them",
        )


def _refuse_keys_beside_nested(node: Mapping[str, object], where: str) -> None:
    beside = [key for key in node if key != "parameters"]
    if beside:
        raise SweepError(
            f"{beside[0]!r} cannot stand beside nested `parameters`",
            where=where,
            remedy="a parameter has either a distribution or parameters of its own",
        )


def parse_distribution(node: object, where: str, name: str) -> space.Distribution:
    """The distribution that a parameter's settings make.

    Raises:
        SweepError: they make none.
    """
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
            f"there is no distribution {kind!r}{did_you_mean(str(kind), space.FAMILIES)}",
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
        return "categorical_w_probabilities" if "probabilities" in node else "categorical"
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
    if not has_metric:
        _check_metric_is_known(spec, where)
    if spec.method == "grid":
        _check_grid(spec.parameters, where)
    _check_command(spec, where)


def _check_metric_is_known(spec: SweepSpec, where: str) -> None:
    if not spec.trains_detector:
        raise SweepError(
            "a sweep of a program needs the name of the metric that it logs",
            where=where,
            remedy="add `metric: {name: …, goal: minimize}`, or maximize",
        )
    if spec.method == "bayes" or spec.early_terminate:
        raise SweepError(
            "bayes and early_terminate need a metric",
            where=where,
            remedy=f"add `metric: {{name: {METRIC}, goal: maximize}}`",
        )


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
    if spec.command is None:
        return
    for word in spec.command:
        macro = macro_of(word)
        if macro is not None and macro not in MACROS:
            raise SweepError(
                f"there is no macro {word!r}{did_you_mean(macro, MACROS)}",
                where=f"{where}: command",
                remedy=f"choose one of {', '.join(MACROS)} and envvar:NAME",
            )
    if spec.program is None and "${program}" in spec.command:
        raise SweepError(
            "the command names ${program}, but the file has no `program`",
            where=f"{where}: command",
            remedy="add `program: …`",
        )
    words = plain_words(spec.command, spec.program)
    if not words:
        raise SweepError(
            "the command runs nothing", where=f"{where}: command", remedy="take it out"
        )
    extra = [word for word in words[1:] if word != "train"]
    if spec.trains_detector and extra:
        raise SweepError(
            f"{extra[0]!r} would have no effect: an agent trains the detector itself",
            where=f"{where}: command",
            remedy="make it a parameter with a single `value`, or an override of the run",
        )


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
            f"detsweep does not support W&B's {key!r}, a search of your own",
            where=location,
            remedy="take it out and choose `method: bayes`, detsweep's search",
        )
    sections: dict[str, type[BaseModel]] = {
        "metric": MetricSpec,
        "early_terminate": EarlyTerminateSpec,
    }
    owner = sections.get(path[0], model) if len(path) > 1 else model
    allowed = keys_of(owner)
    return SweepError(
        f"there is no key {key!r} here{did_you_mean(key, allowed)}",
        where=location,
        remedy=f"allowed are {', '.join(allowed)}",
    )


def keys_of(section: type[BaseModel]) -> list[str]:
    """The keys that a section of the file may have."""
    names = {field.alias or name for name, field in section.model_fields.items()}
    return sorted(names - _NOT_IN_THE_FILE)

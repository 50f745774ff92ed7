"""What a run is asked to be, from the words of a command line; wrong words are refused here, before
a pod starts."""

import inspect
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from kubernetes.utils.quantity import parse_quantity

from detector.config.keys import known_keys
from detector.config.loading import load_config
from detector.config.schema import Config
from detector.data.processes import require_equal_shares
from detector.ensemble.names import require_preference
from detector.errors import did_you_mean
from detector.redacting import has_password
from detector.steps.promote import as_hmean
from detector.sweep.backends.urls import KINDS, backend_error
from detector.sweepfile.check import check_sweep, refuse_errors
from detector.sweepfile.spec import SweepSpec, parse_sweep, read_sweep_file
from pipelines.settings import (
    CHECKING,
    TRAINING_ON_CPU,
    TRAINING_ON_GPU,
    FoldsOn,
    Resources,
    Settings,
)
from pipelines.submit.errors import SubmitError
from pipelines.submit.naming import as_label
from pipelines.sweep import build_pipeline, sweep_pipeline

DEFAULTS: Mapping[str, Any] = {
    name: parameter.default
    for name, parameter in inspect.signature(sweep_pipeline.pipeline_func).parameters.items()
}
"""The pipeline's parameters, and what each is where nothing is given."""

_SMALL_PRESETS = frozenset({"quickstart", "receipts_cpu"})
_DEFAULT_NAME = "default"
_OPERATORS = ("Equal", "Exists")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_OF_A_TOLERATION = frozenset({"key", "operator", "value", "effect", "tolerationSeconds"})


@dataclass(frozen=True)
class Asked:
    """What a command line asks for besides the pipeline's parameters.

    Attributes:
        words: `key=value`, of parameters and of the configuration.
        sweep: the sweep file; None for the pipeline's own.
        name: of the run; the sweep's where it is empty.
        image: of every step; empty for the default.
        gpu, folds_on, queue: as of `Settings`.
        pull_secrets: as of `Settings`.
        cpu, memory: what a step that trains asks for, `REQUEST` or `REQUEST:LIMIT`; empty for what
            suits the preset. No other step asks for more.
        node_selectors: `label=value`, each.
        tolerations: `key[=value][:effect]`, each, as `kubectl taint` writes a taint.
    """

    words: Sequence[str] = ()
    sweep: Path | None = None
    name: str = ""
    image: str = ""
    gpu: str = "nvidia.com/gpu"
    folds_on: FoldsOn = "trainjob"
    queue: str = ""
    pull_secrets: Sequence[str] = ()
    cpu: str = ""
    memory: str = ""
    node_selectors: Sequence[str] = ()
    tolerations: Sequence[str] = ()

    def request(self) -> "Request":
        """The same, checked.

        Raises:
            SubmitError: a parameter has no such value, or a word is neither a parameter nor of the
                configuration.
            ConfigError: the configuration is not valid.
            SweepError: the sweep file is not.
        """
        arguments = self._arguments()
        values = {**DEFAULTS, **arguments}
        config = _check(values)
        sweep = _sweep(values["sweep_yaml"], str(self.sweep or "sweep_yaml"), config)
        of_file = (sweep.name or self.sweep.stem) if self.sweep else _DEFAULT_NAME
        name = self.name or of_file
        training = self._resources(config)
        settings = Settings(
            label=as_label(name),
            gpu=self.gpu,
            gpus_per_fold=values["gpus_per_fold"],
            nodes_per_fold=values["nodes_per_fold"],
            folds_on=self.folds_on,
            training=training,
            checking=_no_more(CHECKING, training),
            pull_secrets=tuple(self.pull_secrets),
            queue=self.queue,
            backend=values["backend_url"],
            tracker=config.tracker,
        )
        if self.folds_on == "pod" and settings.nodes_per_fold > 1:
            raise SubmitError(
                f"a pod is on one node, and a fold is to be on {settings.nodes_per_fold}",
                where="--folds-on",
                remedy="--folds-on trainjob, or nodes_per_fold=1",
            )
        return Request(settings, arguments, name if name.isascii() else settings.label)

    def _arguments(self) -> dict[str, Any]:
        """What the pipeline is started with, of the words and of the options."""
        arguments: dict[str, Any] = {}
        overrides: list[str] = []
        for word in self.words:
            key, equals, value = word.partition("=")
            if equals and key in DEFAULTS:
                arguments[key] = _parameter(key, value, type(DEFAULTS[key]))
            elif equals and ("." in key or key in known_keys()):
                overrides.append(word)
            else:
                raise SubmitError(
                    f"{word!r} is no parameter of the pipeline{did_you_mean(key, list(DEFAULTS))}",
                    remedy=f"the parameters are {', '.join(DEFAULTS)}; keys of the configuration "
                    "have a dot, such as trainer.max_epochs=5",
                )
        if overrides:
            has_preset = any(word.startswith("preset=") for word in overrides)
            begun_with = arguments.get("overrides", [] if has_preset else DEFAULTS["overrides"])
            arguments["overrides"] = [*begun_with, *overrides]
        if self.sweep is not None:
            arguments["sweep_yaml"] = _in_ascii(read_sweep_file(self.sweep))
        self._add_options(arguments)
        return arguments

    def _add_options(self, arguments: dict[str, Any]) -> None:
        """Put options into the parameters that they are other words for."""
        if self.image:
            _refuse_two("--image", "image", arguments)
            arguments["image"] = self.image
        if self.node_selectors:
            _refuse_two("--node-selector", "node_selector", arguments)
            arguments["node_selector"] = dict(map(_selector, self.node_selectors))
        if self.tolerations:
            _refuse_two("--toleration", "tolerations", arguments)
            arguments["tolerations"] = [_toleration(word) for word in self.tolerations]

    def _resources(self, config: Config) -> Resources:
        is_small = config.preset in _SMALL_PRESETS or not self.gpu
        usual = TRAINING_ON_CPU if is_small else TRAINING_ON_GPU
        cpu, cpu_limit = _quantities("--cpu", self.cpu, usual.cpu, usual.cpu_limit)
        memory, memory_limit = _quantities(
            "--memory", self.memory, usual.memory, usual.memory_limit
        )
        return Resources(cpu, cpu_limit, _whole(memory), _whole(memory_limit))


@dataclass(frozen=True)
class Request:
    """A run that can be started.

    Attributes:
        settings: what the pipeline is compiled for.
        arguments: what it is started with.
        name: of the run, in ASCII for the same reason as the sweep's text.
    """

    settings: Settings
    arguments: dict[str, Any]
    name: str

    def pipeline(self) -> Any:
        """The pipeline for these settings."""
        return build_pipeline(self.settings)

    @property
    def store_url(self) -> str:
        """Where the run keeps everything."""
        return str(self.arguments.get("store_url", DEFAULTS["store_url"]))


def _check(values: Mapping[str, Any]) -> Config:
    """Refuse what a pod would refuse hours later; the configuration of the run."""
    for key, least in (
        ("agents", 1),
        ("gpus_per_fold", 1),
        ("nodes_per_fold", 1),
        ("trials_per_agent", 0),
        ("folds", 0),
    ):
        if values[key] < least:
            raise SubmitError(
                f"{values[key]} is too few", where=key, remedy=f"give {least} or more"
            )
    folds = [f"folds.count={values['folds']}"] if values["folds"] else []
    config = load_config([*values["overrides"], *folds])
    require_equal_shares(config, values["gpus_per_fold"] * values["nodes_per_fold"])
    for key in ("data", "store_url", "backend_url", "image", "prefer"):
        if not values[key] or values[key] != values[key].strip() or "\n" in values[key]:
            raise SubmitError(
                f"{values[key]!r} is empty or has blanks around it",
                where=key,
                remedy=f"such as {key}={DEFAULTS[key]}",
            )
    require_preference(values["prefer"], config.folds.trained)
    for key in ("data", "store_url"):
        _require_seen_by_pods(key, values[key], "s3://detsweep/…")
    _check_backend(values["backend_url"])
    _check_baseline(values["baseline"])
    _check_selector(values["node_selector"])
    for toleration in values["tolerations"]:
        _check_toleration(toleration)
    return config


def _sweep(text: str, where: str, config: Config) -> SweepSpec:
    """The sweep file, without any error that `sweep check` would find."""
    spec = parse_sweep(text, where)
    refuse_errors(check_sweep(text, where, [config]), where)
    if not spec.trains_detector:
        raise SubmitError(
            "its trials are runs of a program, and the pipeline trains folds of the detector",
            where=where,
            remedy="take `program` and `command` out",
        )
    return spec


def _check_baseline(baseline: str) -> None:
    if baseline and as_hmean(baseline) is None:
        _require_seen_by_pods("baseline", baseline, "s3://detsweep/models/model.onnx")


def _require_seen_by_pods(key: str, place: str, example: str) -> None:
    """A path from here would mean another place in a pod."""
    if "://" not in place and not place.startswith("/"):
        raise SubmitError(
            f"{place!r} is no URL and no whole path, and a pod has another folder than this shell",
            where=key,
            remedy=f"give a URL such as {example}, or a path that every pod sees",
        )


def _check_backend(url: str) -> None:
    """Refuse what is wrong with a URL that only pods reach."""
    if not url.startswith(KINDS):
        raise backend_error("no backend of this kind", url, f"begin it with {', '.join(KINDS)}")
    if has_password(url):
        raise backend_error(
            "it holds a password, which every parameter of a run shows",
            url,
            "take it out: pods take it from the Secret detsweep-postgresql",
        )


def _check_selector(selector: Mapping[str, object]) -> None:
    for label, value in selector.items():
        if not isinstance(value, str):
            raise SubmitError(
                f"{json.dumps(value)} is no text, and a label's value is one",
                where=f"node_selector, {label}",
                remedy=f'"{json.dumps(value)}"'.replace('""', '"') + ", in quotes",
            )


def _check_toleration(toleration: object) -> None:
    def wrong(problem: str) -> SubmitError:
        return SubmitError(
            problem,
            where=f"tolerations, {json.dumps(toleration)}",
            remedy='as in [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": '
            '"NoSchedule"}], or by --toleration nvidia.com/gpu:NoSchedule',
        )

    if not isinstance(toleration, Mapping):
        raise wrong("a toleration is an object")
    if unknown := sorted(set(toleration) - _OF_A_TOLERATION):
        raise wrong(
            f"a toleration has no {unknown[0]!r}{did_you_mean(unknown[0], _OF_A_TOLERATION)}"
        )
    for key in _OF_A_TOLERATION & set(toleration) - {"tolerationSeconds"}:
        if not isinstance(toleration[key], str):
            raise wrong(f"its {key} is no text")
    if toleration.get("operator", "Equal") not in _OPERATORS:
        raise wrong(f"its operator is none of {', '.join(_OPERATORS)}")
    if toleration.get("effect", "") not in ("", *_EFFECTS):
        raise wrong(f"its effect is none of {', '.join(_EFFECTS)}")


def _selector(word: str) -> tuple[str, str]:
    label, equals, value = word.partition("=")
    if not (label and equals):
        raise SubmitError(
            f"{word!r} is no LABEL=VALUE",
            where="--node-selector",
            remedy="as `kubectl get nodes --show-labels` shows them",
        )
    return label, value


def _toleration(word: str) -> dict[str, str]:
    """
    >>> _toleration("gpu=yes:NoSchedule")
    {'key': 'gpu', 'operator': 'Equal', 'value': 'yes', 'effect': 'NoSchedule'}
    >>> _toleration("gpu")
    {'key': 'gpu', 'operator': 'Exists'}
    """
    taint, _, effect = word.partition(":")
    key, equals, value = taint.partition("=")
    toleration = {"key": key, "operator": "Equal" if equals else "Exists"}
    if equals:
        toleration["value"] = value
    if effect:
        toleration["effect"] = effect
    return toleration


def _quantities(option: str, given: str, request: str, limit: str) -> tuple[str, str]:
    """What is asked for, and the most that is given. One quantity is both, unless the usual limit
    is more."""
    if not given:
        return request, limit
    asked, colon, most = given.partition(":")
    try:
        amounts = [parse_quantity(each) for each in ([asked, most] if colon else [asked])]
    except ValueError as error:
        raise SubmitError(
            f"{given!r} is no quantity of Kubernetes",
            where=option,
            remedy="such as 4, 500m or 24Gi; with a limit, 24Gi:32Gi",
        ) from error
    if min(amounts) <= 0 or amounts[-1] < amounts[0]:
        raise SubmitError(
            f"{given!r} asks for nothing, or for more than its limit",
            where=option,
            remedy="give a positive amount, with a limit that is no less: 24Gi:32Gi",
        )
    if not colon:
        most = limit if parse_quantity(limit) > amounts[0] else asked
    return asked, most


def _whole(memory: str) -> str:
    """The same as a whole number of some unit: kfp takes nothing else.

    >>> _whole("24Gi"), _whole("2.5Gi"), _whole("1e9")
    ('24Gi', '2560Mi', '1000000000')
    """
    amount = parse_quantity(memory)
    units = (unit for unit in ("Gi", "Mi", "Ki") if amount % parse_quantity(f"1{unit}") == 0)
    unit = next(units, "")
    return f"{math.ceil(amount / parse_quantity(f'1{unit}'))}{unit}"


def _no_more(resources: Resources, most: Resources) -> Resources:
    """`resources` that ask for no more than `most` does: a step that trains nothing is to fit where
    one that trains does."""

    def less(one: str, other: str) -> str:
        return min(one, other, key=parse_quantity)

    return replace(
        resources,
        cpu=less(resources.cpu, most.cpu),
        memory=less(resources.memory, most.memory),
    )


def _refuse_two(option: str, key: str, arguments: Mapping[str, Any]) -> None:
    if key in arguments:
        raise SubmitError(f"it is given by {key}=… too", where=option, remedy="give one of the two")


def _parameter(key: str, value: str, kind: type) -> Any:
    if kind is str:
        return value
    try:
        taken = json.loads(value)
    except ValueError:
        taken = None
    if type(taken) is kind:
        return taken
    raise SubmitError(
        f"{value!r} is no {kind.__name__}", where=key, remedy="lists and objects are given as JSON"
    )


def _in_ascii(sweep_yaml: str) -> str:
    """The same sweep in the letters that every database of Kubeflow Pipelines takes. One that does
    not take a text has the pods started all the same, of a run that nobody sees."""
    if sweep_yaml.isascii():
        return sweep_yaml
    try:
        return str(yaml.safe_dump(yaml.safe_load(sweep_yaml), sort_keys=False, width=sys.maxsize))
    except yaml.YAMLError:
        return sweep_yaml  # What is wrong with it is said where it is parsed.

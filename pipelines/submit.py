"""`python pipelines/sweep.py submit`: compile the pipeline and run it on Kubeflow, in one go.

It says what the stock client does not check: a parameter that does not exist, a configuration or a
sweep file that is not valid. What the steps do is decided elsewhere.
"""

import contextlib
import inspect
import io
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import urllib3
from kfp import client as kfp_client
from kfp import compiler
from kfp_server_api import ApiException  # type: ignore[import-untyped]  # it has no types

from detector.config import known_keys, load_config
from detector.console import plain_errors, say
from detector.errors import DetsweepError, did_you_mean
from detector.processes import require_equal_shares
from detector.sweep.spec import parse_sweep
from pipelines.settings import Settings

TOKEN, COOKIES = "DETSWEEP_KFP_TOKEN", "DETSWEEP_KFP_COOKIES"
"""How a person is known to a Kubeflow that asks: a bearer token, or the cookies of a browser."""

_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
_LABEL_LENGTH = 63
_POLL_S = 10.0
_PATIENCE_S = 600.0
"""A server that restarts is waited for; the run goes on meanwhile."""

_SUCCEEDED = frozenset({"SUCCEEDED", "SKIPPED"})
_ENDED = _SUCCEEDED | {"FAILED", "CANCELED", "ERROR"}
_LATER = (500, 502, 503, 504)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class SubmitError(DetsweepError):
    """Kubeflow Pipelines did not take a run, or the run did not succeed."""


class ServerLostError(SubmitError):
    """Kubeflow Pipelines does not answer, for now."""


Host = Annotated[
    str, typer.Option(help="URL of Kubeflow Pipelines.", envvar="KF_PIPELINES_ENDPOINT")
]
Namespace = Annotated[
    str | None, typer.Option(help="Your profile's, where Kubeflow has several users.")
]
SweepFile = Annotated[
    Path | None, typer.Option(help="The sweep file, in place of the pipeline's default.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Parameters of the pipeline, such as `agents=8`; what is none of them changes the "
        "configuration, such as `preset=receipts_cpu`.",
    ),
]


@app.callback()
def _group() -> None:
    """The pipeline on Kubeflow."""


@app.command()
def submit(
    host: Host,
    parameters: Parameters = None,
    namespace: Namespace = None,
    experiment: Annotated[str, typer.Option(help="Under which the run is listed.")] = "detsweep",
    sweep: SweepFile = None,
    name: Annotated[
        str | None, typer.Option(help="Of the run, and the label of its pods; the sweep's.")
    ] = None,
    gpu: Annotated[
        str,
        typer.Option(
            envvar="DETSWEEP_GPU",
            help="Of what a step that trains asks for one; empty for nothing.",
        ),
    ] = "nvidia.com/gpu",
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; fail if it does not succeed.")
    ] = False,
) -> None:
    """Compile the pipeline, run it, and print where it is to be seen."""
    label = as_label(name or _sweep_name(sweep))
    from pipelines.sweep import build_pipeline  # noqa: PLC0415

    given = dict(word.partition("=")[::2] for word in parameters or [])
    gpus = given.get("gpus_per_fold", "")
    settings = Settings(label, gpu, gpus_per_fold=int(gpus) if gpus.isdecimal() else 1)
    sweep_pipeline = build_pipeline(settings)
    arguments = pipeline_arguments(parameters or [], sweep, defaults_of(sweep_pipeline))
    client = Client(host, namespace)
    run_id = client.run(sweep_pipeline, arguments, experiment, name or label)
    say(f"run {run_id}: {client.url(run_id)}")
    say(f"logs: kubectl logs --selector detsweep.io/sweep={label} --prefix --follow")
    if wait:
        follow(client, run_id)


def _sweep_name(sweep: Path | None) -> str:
    if sweep is None:
        return "default"
    return parse_sweep(_read(sweep), str(sweep)).name or sweep.stem


def as_label(name: str) -> str:
    """`name` as the value of a Kubernetes label.

    >>> as_label("Receipts, May (2)")
    'Receipts-May-2'
    """
    return _LABEL.sub("-", name)[:_LABEL_LENGTH].strip("-_.")


def defaults_of(pipeline: Any) -> dict[str, Any]:
    """The pipeline's parameters, and what each is where nothing is given."""
    signature = inspect.signature(pipeline.pipeline_func)
    return {name: parameter.default for name, parameter in signature.parameters.items()}


def pipeline_arguments(
    words: Sequence[str], sweep: Path | None, defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """What the pipeline is started with.

    Args:
        words: `key=value`, of parameters and of the configuration.
        sweep: the sweep file; None for the default one.
        defaults: the pipeline's parameters.

    Raises:
        SubmitError: a parameter has no such value, or a word is neither a parameter nor of the
            configuration.
        ConfigError: the configuration is not valid.
        SweepError: the sweep file is not.
    """
    arguments: dict[str, Any] = {}
    overrides: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in defaults:
            arguments[key] = _parameter(key, value, type(defaults[key]))
        elif equals and ("." in key or key in known_keys()):
            overrides.append(word)
        else:
            raise SubmitError(
                f"{word!r} is no parameter of the pipeline{did_you_mean(key, list(defaults))}",
                remedy=f"the parameters are {', '.join(defaults)}; keys of the configuration have "
                "a dot, such as trainer.max_epochs=5",
            )
    if overrides:
        arguments["overrides"] = [*arguments.get("overrides", []), *overrides]
    if sweep is not None:
        arguments["sweep_yaml"] = _read(sweep)
    # Faults are told here rather than by a pod.
    config = load_config(arguments.get("overrides", defaults["overrides"]))
    gpus = arguments.get("gpus_per_fold", defaults["gpus_per_fold"])
    if gpus < 1:
        raise SubmitError(
            f"{gpus} GPUs train no fold", where="gpus_per_fold", remedy="give 1 or more"
        )
    require_equal_shares(config, gpus)
    parse_sweep(arguments.get("sweep_yaml", defaults["sweep_yaml"]), str(sweep or "sweep_yaml"))
    return arguments


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


def _read(sweep: Path) -> str:
    try:
        return sweep.read_text()
    except OSError as error:
        raise SubmitError(
            f"cannot read the sweep file: {error.strerror}", where=str(sweep)
        ) from error


class _KfpClient(kfp_client.Client):
    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002  (kfp's signature)
        """Asked at once for all; kfp asks five times in half a minute, and logs each failure."""
        return self._healthz_api.healthz_service_get_healthz()


class Client:
    """Kubeflow Pipelines' own client, with errors that a person can act on.

    Args:
        host: URL of the service, such as a port-forward's.
        namespace: the profile's, where there are several.
    """

    def __init__(self, host: str, namespace: str | None):
        self._host, self._namespace = host.rstrip("/"), namespace
        with self._asked():
            self._kfp = _KfpClient(
                host=host,
                existing_token=os.environ.get(TOKEN),
                cookies=os.environ.get(COOKIES),
            )

    def url(self, run_id: str) -> str:
        """Where a browser shows the run."""
        return f"{self._host}/#/runs/details/{run_id}"

    def run(self, pipeline: Any, arguments: Mapping[str, Any], experiment: str, name: str) -> str:
        """Start a run; its id.

        Raises:
            SubmitError: the server refused it, or does not answer.
        """
        with tempfile.TemporaryDirectory(prefix="detsweep-") as folder, self._asked():
            package = Path(folder) / "sweep.yaml"
            compiler.Compiler().compile(pipeline, str(package))
            found = self._kfp.create_experiment(experiment, namespace=self._namespace)
            created = self._kfp.run_pipeline(
                experiment_id=found.experiment_id,
                job_name=name,
                pipeline_package_path=str(package),
                params=dict(arguments),
            )
        return str(created.run_id)

    def state(self, run_id: str) -> "RunState":
        """How far the run is.

        Raises:
            SubmitError: the server does not answer.
        """
        with self._asked():
            run = self._kfp.get_run(run_id)
        details = (run.run_details and run.run_details.task_details) or []
        return RunState(
            run.state or "PENDING",
            tuple(
                TaskState(
                    str(task.task_id),
                    task.display_name or "",
                    task.state or "PENDING",
                    _message(task.error),
                )
                for task in details
            ),
            _message(run.error),
        )

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """What the client prints and warns of is left out, and its errors become `SubmitError`s."""
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except ApiException as error:
            raise _explain(error.status, _reason(error.body) or error.reason, self._host) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ServerLostError(
                f"Kubeflow Pipelines does not answer: {error}",
                where=self._host,
                remedy="check the URL; from outside of the cluster: `kubectl port-forward "
                "--namespace kubeflow service/ml-pipeline-ui 8080:80`, then http://localhost:8080",
            ) from error


def _explain(status: int, reason: str, host: str) -> SubmitError:
    if status in _LATER:
        return ServerLostError(f"Kubeflow Pipelines has trouble: {status} {reason}", where=host)
    remedy = None
    if status in (401, 403):
        remedy = f"put a token into {TOKEN} or the browser's cookies into {COOKIES}"
    return SubmitError(f"Kubeflow Pipelines answers {status}: {reason}", where=host, remedy=remedy)


def _reason(body: object) -> str:
    """The message in an answer of the API, empty where there is none."""
    try:
        return str(json.loads(body)["message"])  # type: ignore[arg-type]  # None, too, has none
    except (TypeError, ValueError, KeyError):
        return ""


def _message(status: Any) -> str:
    return (status and status.message) or ""


@dataclass(frozen=True)
class TaskState:
    """A step of a run, or an iteration of a loop.

    Attributes:
        state: as Kubeflow writes it: PENDING, RUNNING, SUCCEEDED, FAILED, ….
        error: why it failed.
    """

    number: str
    name: str
    state: str
    error: str

    @property
    def is_plumbing(self) -> bool:
        """Whether it is one of Kubeflow's own pods around a step, and nothing went wrong in it."""
        return (self.name == "executor" or self.name.endswith("-driver")) and not self.error


@dataclass(frozen=True)
class RunState:
    """A run and its steps; `state` and `error` as of `TaskState`."""

    state: str
    tasks: tuple[TaskState, ...]
    error: str


def follow(client: Client, run_id: str, poll_s: float = _POLL_S) -> None:
    """Print each change of the run's steps until it ends.

    Raises:
        SubmitError: the run did not succeed, or the server did not answer for a long while.
    """
    told: dict[str, str] = {}
    lost_at: float | None = None
    while True:
        try:
            run, lost_at = client.state(run_id), None
        except ServerLostError:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > _PATIENCE_S:
                raise
            time.sleep(poll_s)
            continue
        for task in run.tasks:
            if told.get(task.number) != task.state and not task.is_plumbing:
                told[task.number] = task.state
                say(
                    f"{task.name}: {task.state.lower()}" + (f": {task.error}" if task.error else "")
                )
        if run.state in _ENDED:
            break
        time.sleep(poll_s)
    say(f"run {run_id}: {run.state.lower()}")
    if run.state not in _SUCCEEDED:
        raise SubmitError(
            f"the run ended as {run.state.lower()}" + (f": {run.error}" if run.error else ""),
            where=client.url(run_id),
            remedy="a step's log says why; submitted again with the same store_url, the run goes "
            "on where it was",
        )


def main() -> None:
    """The entry point. A `DetsweepError` is printed without its traceback; the exit code is 2."""
    with plain_errors():
        app()

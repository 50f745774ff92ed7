"""The commands: start a run, follow one, or write the pipeline into a file."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from kfp import compiler

from detector.console import plain_errors, say
from pipelines.settings import FoldsOn
from pipelines.submit.errors import NotSignedInError, ServerLostError
from pipelines.submit.following import Following
from pipelines.submit.naming import logs_command
from pipelines.submit.options import DEFAULTS, Asked
from pipelines.submit.server import Kubeflow

_INTERRUPTED = 130
_RUNS_NAMESPACE = "kubeflow"
"""Where a Kubeflow Pipelines without profiles keeps its pods, unless it says otherwise."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Host = Annotated[
    str,
    typer.Option(metavar="URL", help="URL of Kubeflow Pipelines.", envvar="KF_PIPELINES_ENDPOINT"),
]
Namespace = Annotated[
    str | None,
    typer.Option(metavar="NAMESPACE", help="Your profile's, where Kubeflow has several users."),
]
Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        metavar="FILE",
        envvar="SSL_CERT_FILE",
        help="File with the certificates of your own authority, which signed the server's.",
    ),
]
Retry = Annotated[
    bool,
    typer.Option(
        "--retry/--no-retry",
        help="Have a run that failed go on, for as long as each try gets further.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Parameters of the pipeline, such as `agents=8`; what is none of them changes the "
        "configuration, such as `preset=receipts_cpu`.",
    ),
]
SweepFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The sweep file, in place of the pipeline's default."),
]
Name = Annotated[
    str, typer.Option(metavar="NAME", help="Of the run, and the label of its pods; the sweep's.")
]
Image = Annotated[
    str,
    typer.Option(
        metavar="IMAGE", help="Of every step, as your registry has it; by digest it cannot change."
    ),
]
PullSecret = Annotated[
    list[str] | None,
    typer.Option(metavar="SECRET", help="Secret that opens the image's registry. Repeatable."),
]
Gpu = Annotated[
    str,
    typer.Option(
        metavar="RESOURCE", help="Of what a step that trains asks for one; empty for nothing."
    ),
]
Cpu = Annotated[
    str,
    typer.Option(
        metavar="REQUEST[:LIMIT]", help="Cores that a step which trains asks for; by the preset."
    ),
]
Memory = Annotated[
    str,
    typer.Option(
        metavar="REQUEST[:LIMIT]",
        help="Memory of the same, such as 24Gi or 24Gi:32Gi; by the preset.",
    ),
]
NodeSelector = Annotated[
    list[str] | None,
    typer.Option(metavar="LABEL=VALUE", help="A label of the nodes that train. Repeatable."),
]
Toleration = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY[=VALUE][:EFFECT]", help="A taint of those nodes. Repeatable."),
]
FoldsOnOption = Annotated[
    FoldsOn,
    typer.Option(
        "--folds-on",
        help="Who holds a fold's GPUs where it has several: a TrainJob, which needs Kubeflow "
        "Trainer, or the step's own pod.",
    ),
]
Queue = Annotated[
    str, typer.Option(metavar="QUEUE", help="Kueue's local queue that the pods wait in.")
]


def _asked(
    parameters: Parameters = None,
    sweep: SweepFile = None,
    name: Name = "",
    image: Image = "",
    pull_secret: PullSecret = None,
    gpu: Gpu = Asked.gpu,
    cpu: Cpu = "",
    memory: Memory = "",
    node_selector: NodeSelector = None,
    toleration: Toleration = None,
    folds_on: FoldsOnOption = Asked.folds_on,
    queue: Queue = "",
) -> Asked:
    """What `submit` and `compile` are both asked."""
    return Asked(
        words=parameters or (),
        sweep=sweep,
        name=name,
        image=image,
        gpu=gpu,
        folds_on=folds_on,
        queue=queue,
        pull_secrets=pull_secret or (),
        cpu=cpu,
        memory=memory,
        node_selectors=node_selector or (),
        tolerations=toleration or (),
    )


def _with_what_is_asked(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `_asked`, which make its parameter `asked`. Typer itself has no
    way to share options between commands."""
    shared = inspect.signature(_asked).parameters
    signature = inspect.signature(command)
    own = [each for name, each in signature.parameters.items() if name != "asked"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(_asked(**{name: given.pop(name) for name in shared}), **given)

    every = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared.values())]
    run.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]  # Typer reads it
    return run


@app.callback()
def _group() -> None:
    """The pipeline on Kubeflow."""


@app.command()
@_with_what_is_asked
def submit(
    asked: Asked,
    host: Host,
    namespace: Namespace = None,
    ca: Ca = None,
    experiment: Annotated[
        str, typer.Option(metavar="NAME", help="Under which the run is listed.")
    ] = "detsweep",
    service_account: Annotated[
        str | None, typer.Option(metavar="NAME", help="That the pods run as; Kubeflow's own.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow the run; fail if it does not succeed.")
    ] = False,
    retry: Retry = True,
) -> None:
    """Compile the pipeline, run it, and print where it is to be seen."""
    request = asked.request()
    kubeflow = Kubeflow(host, namespace, ca)
    run_id = kubeflow.start(
        request.pipeline(), request.arguments, experiment, request.name, service_account
    )
    say(f"run {run_id}: {kubeflow.url(run_id)}")
    pods_namespace = namespace or kubeflow.run(run_id).namespace or _RUNS_NAMESPACE
    say(f"logs: {logs_command(pods_namespace, request.settings.label)}")
    if wait:
        _follow(kubeflow, run_id, retry, request.store_url)
    else:
        say(f"follow it: {_follow_command(kubeflow, run_id)}")


@app.command()
def follow(
    run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="As `submit` printed it.")],
    host: Host,
    namespace: Namespace = None,
    ca: Ca = None,
    retry: Retry = True,
) -> None:
    """Follow a run that was started before, as `submit --wait` does."""
    _follow(Kubeflow(host, namespace, ca), run_id, retry, DEFAULTS["store_url"])


@app.command(name="compile")
@_with_what_is_asked
def compile_(
    asked: Asked, output: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")]
) -> None:
    """Write the pipeline for `kfp run create` and Kubeflow's pages, with these parameters as its
    defaults."""
    request = asked.request()
    compiler.Compiler().compile(
        request.pipeline(), str(output), pipeline_parameters=request.arguments
    )
    say(f"{output}: run it by `kfp run create --experiment-name detsweep --package-file {output}`")


def _follow(kubeflow: Kubeflow, run_id: str, retry: bool, default_store: str) -> None:
    try:
        Following(kubeflow, run_id, retry, default_store).to_its_end()
    except KeyboardInterrupt:
        say(f"the run goes on; follow it again: {_follow_command(kubeflow, run_id)}")
        raise typer.Exit(_INTERRUPTED) from None
    except (ServerLostError, NotSignedInError):
        say(f"the run may well go on; follow it again: {_follow_command(kubeflow, run_id)}")
        raise


def _follow_command(kubeflow: Kubeflow, run_id: str) -> str:
    namespace = f" --namespace {kubeflow.namespace}" if kubeflow.namespace else ""
    return f"python -m pipelines follow {run_id} --host {kubeflow.host}{namespace}"


def main() -> None:
    """The entry point. A `DetsweepError` is printed without its traceback; the exit code is 2."""
    with plain_errors():
        app()

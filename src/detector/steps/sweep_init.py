"""The second step: create the sweep, once; and the first two together."""

from collections.abc import Sequence

from detector.config.schema import Config
from detector.console import say
from detector.errors import SweepError
from detector.steps.prepare import prepare
from detector.steps.run import BegunSweep, Run, digest_of
from detector.sweep.capabilities import Capability
from detector.sweep.ending import what_ends_trials
from detector.sweep.opening import SweepAddress, open_step_backend, require_backend
from detector.sweep.trial import Stopping
from detector.sweepfile.check import check_sweep, configs_of, refuse_errors
from detector.sweepfile.spec import parse_sweep


def begin_run(
    run: Run,
    backend_url: str,
    sweep_yaml: str,
    file: str,
    overrides: Sequence[str],
    data: str | None,
    stopping: Stopping = "file",
) -> SweepAddress:
    """`prepare`, where the sweep trains the detector, and `init_sweep`. The same file continues a
    run that was begun.

    Args:
        sweep_yaml: the content of the sweep file.
        file: its name, for errors.
        overrides: of the configuration.
        data: the data set; a sweep of a `program` of the user's own needs none.

    Raises:
        SweepError: the sweep file has errors, or there is no data to train on.
        DetsweepError: what the two steps raise.
    """
    refuse_errors(check_sweep(sweep_yaml, file, configs_of(overrides)), file)
    # The check of the data, which comes before either is used, may take long.
    run.require_writable()
    require_backend(backend_url)
    if parse_sweep(sweep_yaml, file).trains_detector:
        if data is None:
            raise SweepError(
                "no data set was given to train the detector on", remedy="give --data FOLDER"
            )
        prepare(run, [*overrides, f"data.path={data}"])
    return init_sweep(run, backend_url, sweep_yaml, stopping)


def init_sweep(
    run: Run, backend_url: str, sweep_yaml: str, stopping: Stopping = "file"
) -> SweepAddress:
    """The run's sweep, which is created if there is none yet.

    A new sweep's file is checked against the run's configuration: warnings are printed, errors
    refuse it.

    Args:
        sweep_yaml: the content of the sweep file.
        stopping: what ends trials early; see `Backend.create`.

    Raises:
        SweepError: the sweep file has errors, or the store holds a sweep of another file or with
            another `stopping`.
    """
    begun = run.begun
    if begun is None:
        begun = _create(run, backend_url, sweep_yaml, stopping)
        say(f"sweep {begun.id} created")
    else:
        refuse_another_sweep(run, begun, sweep_yaml)
        _refuse_another_stopping(run, begun, stopping)
        say(f"sweep {begun.id} continues")
    return SweepAddress(backend_url, begun.id)


def _create(run: Run, backend_url: str, sweep_yaml: str, stopping: Stopping) -> BegunSweep:
    spec = parse_sweep(sweep_yaml, "sweep file")
    # A sweep of a program has no configuration of the detector.
    config = run.config if run.is_prepared else None
    _check(config, sweep_yaml)
    max_epochs = config.trainer.max_epochs if config and spec.trains_detector else None
    sweep = open_step_backend(backend_url).create(spec, stopping=stopping, max_epochs=max_epochs)
    for instead in sweep.lacks.values():
        say(f"note: {instead}")
    if Capability.SEARCHES not in sweep.lacks:
        say(what_ends_trials(spec, stopping, max_epochs))
    begun = BegunSweep(sweep.id, digest_of(sweep_yaml.encode()), stopping)
    run.begin_sweep(begun, sweep_yaml)
    return begun


def refuse_another_sweep(run: Run, begun: BegunSweep, sweep_yaml: str) -> None:
    """Leave a store alone whose sweep is that of another file.

    Raises:
        SweepError: it is.
    """
    if begun.digest != digest_of(sweep_yaml.encode()):
        raise SweepError(
            f"this store holds sweep {begun.id}, which came of another sweep file",
            where=run.begun_url,
            remedy="give the file that it was begun with, or another store",
        )


def _refuse_another_stopping(run: Run, begun: BegunSweep, stopping: Stopping) -> None:
    if begun.stopping not in (None, stopping):
        raise SweepError(
            f"sweep {begun.id} was begun with --stopping {begun.stopping}",
            where=run.begun_url,
            remedy="give the same, or another store",
        )


def _check(config: Config | None, sweep_yaml: str) -> None:
    findings = check_sweep(sweep_yaml, "sweep file", [config] if config else [])
    for finding in findings:
        if finding.level == "warning":
            say(f"warning: line {finding.line}: {finding.problem}: {finding.cost}; {finding.fix}")
    refuse_errors(findings, "sweep file")

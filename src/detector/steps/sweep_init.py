"""The second step: create the sweep, once; and the first two together."""

import hashlib
import json
from collections.abc import Sequence

from detector.config import Config
from detector.console import say
from detector.errors import SweepError
from detector.steps.prepare import prepare
from detector.steps.run import CONFIG, SWEEP, Run
from detector.sweep.backends import Stopping, open_backend
from detector.sweepfile.check import check_sweep, configs_of, refuse_errors
from detector.sweepfile.spec import parse_sweep


def begin_run(
    store_url: str,
    backend_url: str,
    sweep_yaml: str,
    file: str,
    overrides: Sequence[str],
    data: str | None,
    stopping: Stopping = "file",
) -> str:
    """`prepare`, where the sweep trains the detector, and `init_sweep`. The same file continues a
    run that was begun.

    Args:
        sweep_yaml: the content of the sweep file.
        file: its name, for errors.
        overrides: of the configuration.
        data: the data set; a sweep of a `program` of the user's own needs none.

    Returns:
        The sweep's id.

    Raises:
        SweepError: the sweep file has errors, or there is no data to train on.
        DetsweepError: what the two steps raise.
    """
    refuse_errors(check_sweep(sweep_yaml, file, configs_of(overrides)), file)
    if parse_sweep(sweep_yaml, file).trains_detector:
        if data is None:
            raise SweepError(
                "no data set was given to train the detector on", remedy="give --data FOLDER"
            )
        prepare(store_url, [*overrides, f"data.path={data}"])
    return init_sweep(store_url, backend_url, sweep_yaml, stopping)


def init_sweep(
    store_url: str, backend_url: str, sweep_yaml: str, stopping: Stopping = "file"
) -> str:
    """The id of the store's sweep, which is created if there is none yet.

    A new sweep's file is checked against the run's configuration: warnings are printed, errors
    refuse it.

    Args:
        sweep_yaml: the content of the sweep file.
        stopping: what ends trials early; see `Backend.create`.

    Raises:
        SweepError: the sweep file has errors, or the store holds a sweep of another file or with
            another `stopping`.
    """
    run = Run(store_url)
    spec = parse_sweep(sweep_yaml, "sweep file")
    digest = hashlib.sha256(sweep_yaml.encode()).hexdigest()
    known = run.sweep()
    if known is None:
        # A sweep of a program has no configuration of the detector.
        config = run.config() if run.store.exists(CONFIG) else None
        _check(config, sweep_yaml)
        max_epochs = config.trainer.max_epochs if config and spec.trains_detector else None
        backend = open_backend(backend_url)
        sweep_id = backend.create(spec, stopping=stopping, max_epochs=max_epochs)
        run.store.write(f"sweeps/{sweep_id}/sweep.yaml", sweep_yaml)
        begun = {"id": sweep_id, "digest": digest, "stopping": stopping}
        run.store.write(SWEEP, json.dumps(begun))
        say(f"sweep {sweep_id} created")
        return sweep_id
    if known["digest"] != digest:
        raise SweepError(
            f"this store holds sweep {known['id']}, which came of another sweep file",
            where=run.store.url(SWEEP),
            remedy="give the file that it was begun with, or another store",
        )
    if known.get("stopping", stopping) != stopping:
        raise SweepError(
            f"sweep {known['id']} was begun with --stopping {known['stopping']}",
            where=run.store.url(SWEEP),
            remedy="give the same, or another store",
        )
    say(f"sweep {known['id']} continues")
    return known["id"]


def _check(config: Config | None, sweep_yaml: str) -> None:
    findings = check_sweep(sweep_yaml, "sweep file", [config] if config else [])
    for finding in findings:
        if finding.level == "warning":
            say(f"warning: line {finding.line}: {finding.problem}: {finding.cost}; {finding.fix}")
    refuse_errors(findings, "sweep file")

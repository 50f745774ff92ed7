"""Sweeps at W&B: its server draws the parameters, ends trials early and queues what was preempted.

A trial is a W&B run, so that everything W&B shows of a sweep is there. What W&B does not have is
not made up here: see `LACKS`.

The calls are those of `wandb agent`, through the installed client; they need its version 0.31.
"""

import json
import logging
import math
import threading
import time
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

import wandb
from wandb.apis.public import sweeps as client
from wandb.errors import CommError, UsageError
from wandb.sdk.sweeps import SweepNotFoundError

from detector.errors import StorageLostError, SweepError
from detector.redacting import redact
from detector.sweep.backends.urls import backend_error
from detector.sweep.best import best_trial
from detector.sweep.capabilities import Capability, Lacks, refuse_stopping
from detector.sweep.protocol import HeldTrial, Idle
from detector.sweep.trial import Params, Stopping, TrialRecord, TrialState
from detector.sweepfile.spec import SweepSpec, load_yaml, read_sweep

_log = logging.getLogger(__name__)

EPOCH = "epoch"
"""The key of the epoch in a run's history, beside the sweep's metric."""
_FAILURES, _REASON = "detsweep/failures", "detsweep/reason"
_ATTEMPTS, _AGENT = "detsweep/attempts", "detsweep/agent"
_STARTED, _HELD_SINCE, _ENDED = "detsweep/started", "detsweep/held_since", "detsweep/ended"
"""Keys of a run's summary, for what W&B has no field for."""
_LEASE_S = 300.0
"""After so long without a heartbeat W&B takes a run for crashed."""
_SAMPLES = 1000
"""Points of a curve that are read, more than any training has epochs."""
_HEARTBEAT_S = 5.0
"""As `wandb agent` has it."""

_STATES: dict[str, TrialState] = {
    "pending": "waiting",
    "preempted": "waiting",
    "preempting": "running",
    "running": "running",
    "finished": "finished",
    "killed": "stopped",
}
LACKS: Lacks = {
    Capability.COUNTS: "W&B's server hands trials out: their numbers are made of its runs' names, "
    "and agents that ask at the same time may overrun run_cap",
    Capability.SEARCHES: "W&B's server draws the values and ends trials early",
    Capability.REQUEUES: "the run of an agent that died counts as crashed after five minutes "
    "without a heartbeat, and is not queued again",
    Capability.ANSWERS_AT_ONCE: "W&B shows what a trial reports a little later, and an agent hears "
    "within five seconds that its trial is to end",
}
_OVER = {"FINISHED", "CANCELED", "CANCELLED", "STOPPED"}


def open_wandb(url: str) -> "WandbBackend":
    """The sweeps of the project at `wandb://ENTITY/PROJECT`.

    Raises:
        SweepError: the URL names no project, or there are no credentials for W&B.
    """
    entity, _, project = url.removeprefix("wandb://").strip("/").partition("/")
    if not entity or not project or "/" in project:
        raise backend_error("the project is not complete", url, "give wandb://ENTITY/PROJECT")
    try:
        return WandbBackend(wandb.Api(), entity, project)
    except (UsageError, CommError, ValueError) as error:
        raise backend_error(
            f"W&B cannot be used: {error}", url, "run `wandb login`, or set WANDB_API_KEY"
        ) from None


class WandbBackend:
    """Sweeps in one project of W&B; see `Backend`."""

    def __init__(
        self, api: wandb.Api, entity: str, project: str, poll_seconds: float = _HEARTBEAT_S
    ):
        self.lacks = LACKS
        self.api, self.entity, self.project = api, entity, project
        self.poll_seconds = poll_seconds
        self._api_lock = threading.Lock()

    def create(
        self,
        spec: SweepSpec,
        *,
        stopping: Stopping = "file",
        max_epochs: int | None = None,  # noqa: ARG002  # W&B does not ask
    ) -> "WandbSweep":
        refuse_stopping(self.lacks, spec.detsweep.stopping or stopping)
        given = load_yaml(spec.source, "the sweep file")
        given.pop("detsweep", None)  # W&B has no such key.
        with self.asking("create a sweep"):
            sweep, warnings = client._upsert_sweep(
                self.api,
                given,
                entity=self.entity,
                project=self.project,
            )
        for warning in warnings:
            _log.warning("W&B on the sweep file: %s", warning)
        return self.open(str(sweep["name"]))

    def open(self, sweep_id: str) -> "WandbSweep":
        config = self.read(sweep_id)["config"]
        return WandbSweep(self, sweep_id, read_sweep(config, f"sweep {sweep_id}"))

    def read(self, sweep_id: str, history: Mapping[str, object] | None = None) -> dict[str, Any]:
        """A sweep with its runs.

        Args:
            history: which of their curves.
        """
        with self.asking(f"read sweep {sweep_id}"):
            return client._sweep_with_runs(
                self.api,
                sweep_id,
                json.dumps(history or {}),
                entity=self.entity,
                project=self.project,
            )

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """One question at a time, since the client is not made for several threads."""
        where = f"wandb://{self.entity}/{self.project}"
        try:
            with self._api_lock:
                yield
        except (SweepNotFoundError, CommError, OSError) as error:
            if isinstance(error, SweepNotFoundError) or "not found" in str(error):
                raise SweepError(
                    f"there is no such sweep: {redact(str(error))}",
                    where=where,
                    remedy="check the id that `detsweep sweep init` printed, and the project",
                ) from None
            raise StorageLostError(
                f"W&B does not let us {what}: {redact(str(error))}",
                where=where,
                remedy="check the connection and `wandb login`",
            ) from None


class WandbSweep:
    """A sweep at W&B; see `Sweep`."""

    def __init__(self, backend: WandbBackend, sweep_id: str, spec: SweepSpec):
        self.lacks = LACKS
        self.id, self.spec = sweep_id, spec
        self.backend = backend
        self.poll_seconds = backend.poll_seconds
        self._agents: dict[str, str] = {}

    def trials(self) -> list[TrialRecord]:
        return sorted(
            (_record(run, self.spec) for run in self._runs()), key=lambda trial: trial.number
        )

    def best(self) -> TrialRecord | None:
        return best_trial(self.trials(), self.spec.metric.goal)

    def rungs(self) -> tuple[int, ...]:
        return tuple(self.spec.bands())

    def claim(self, agent: str) -> HeldTrial | Idle:
        command = self.heartbeat(agent, {})
        if command.get("type") == "exit":
            return Idle.DONE
        if command.get("type") not in {"run", "resume"}:
            return Idle.UNSURE
        params = {name: entry["value"] for name, entry in command["args"].items()}
        known = [run for run in self._runs() if run["name"] == command["run_id"]]
        return WandbTrial(self, agent, command["run_id"], params, known[0] if known else {})

    def requeue(
        self,
        number: int,  # noqa: ARG002
        attempt: int,  # noqa: ARG002
        *,
        died: bool,  # noqa: ARG002
    ) -> bool:
        """W&B takes a run back from its own process alone."""
        return False

    def extend(self, trials: int) -> None:  # noqa: ARG002
        self._refuse("raise run_cap on the sweep's page")

    def retry(self, number: int) -> None:  # noqa: ARG002
        self._refuse("begin another sweep, or keep it in a backend of detsweep's own")

    def _refuse(self, remedy: str) -> NoReturn:
        raise SweepError(
            f"this is not possible here: {LACKS[Capability.COUNTS]}",
            where=f"sweep {self.id}",
            remedy=remedy,
        )

    def stop(self, *, now: bool = False) -> None:
        try:
            with self.backend.asking(f"stop sweep {self.id}"):
                client._set_sweep_state(
                    self.backend.api,
                    self.id,
                    "CANCELED" if now else "FINISHED",
                    entity=self.backend.entity,
                    project=self.backend.project,
                )
        except SweepError:
            raise
        except Exception as error:  # the client's bare one: the sweep has ended before
            if now and self._state() != "CANCELED":
                raise SweepError(
                    f"W&B cancels no sweep that has ended: {error}",
                    where=f"sweep {self.id}",
                    remedy="stop its running runs on W&B's page",
                ) from None

    def is_stopped(self) -> bool:
        return self._state() in _OVER

    def heartbeat(self, agent: str, running: Mapping[str, bool]) -> dict[str, Any]:
        """What W&B asks the agent to do: nothing where W&B does not answer.

        Args:
            running: the runs that it works on.
        """
        api, entity, project = self.backend.api, self.backend.entity, self.backend.project
        with self.backend.asking(f"work on sweep {self.id}"):
            if agent not in self._agents:
                registered = client._register_agent(
                    api, agent, sweep_id=self.id, entity=entity, project=project
                )
                self._agents[agent] = registered["id"]
            commands = client._agent_heartbeat(api, self._agents[agent], {}, dict(running))
        return commands[0] if commands else {}

    def _state(self) -> str:
        return str(self.backend.read(self.id)["state"]).upper()

    def _runs(self) -> list[dict[str, Any]]:
        """Every run of the sweep with its curve, as W&B has it."""
        keys = [EPOCH, self.spec.metric.name]
        read = self.backend.read(self.id, {"keys": keys, "samples": _SAMPLES})
        runs: list[dict[str, Any]] = read["runs"]
        return runs


class WandbTrial:
    """A run that this process works on; see `HeldTrial`. A thread hears when it is to stop."""

    def __init__(
        self,
        sweep: WandbSweep,
        agent: str,
        run_id: str,
        params: Params,
        known: Mapping[str, Any],
    ):
        self.number = trial_number(run_id)
        self.params = params
        self._sweep, self._agent = sweep, agent
        self._metric = sweep.spec.metric.name
        self.curve = _curve(known, self._metric)
        self.epoch = max(self.curve, default=0)
        self.failures = int(_json(known, "summaryMetrics").get(_FAILURES, 0))
        self._is_to_stop = threading.Event()
        self._has_ended = threading.Event()
        self._run = wandb.init(
            entity=sweep.backend.entity,
            project=sweep.backend.project,
            id=run_id,
            resume="allow",
            config=dict(params),
            # An agent has one trial at a time; by default the run of one that was left would stay.
            reinit="finish_previous",
            settings=wandb.Settings(sweep_id=sweep.id, console="off", silent=True),
        )
        self.attempt = self._begin_attempt(_json(known, "summaryMetrics"))
        # The thread knows nothing of this object: it ends with it, even one that was just dropped.
        weakref.finalize(self, self._has_ended.set)
        threading.Thread(
            target=_listen,
            args=(sweep, agent, run_id, self._is_to_stop, self._has_ended),
            name=f"commands for {run_id}",
            daemon=True,
        ).start()

    def _begin_attempt(self, before: Mapping[str, Any]) -> int:
        """Note who works on the run since when; the attempt's number.

        Args:
            before: the run's summary so far. That of a resumed run begins empty: what is to stay
                in it is said again.
        """
        now, attempt = time.time(), int(before.get(_ATTEMPTS, 0)) + 1
        carried = {key: before[key] for key in (_STARTED, _FAILURES, _REASON) if key in before}
        begun = {_AGENT: self._agent, _HELD_SINCE: now, _ATTEMPTS: attempt}
        self._run.summary.update({_STARTED: now, **carried, **begun})
        return attempt

    def report(self, epoch: int, metric: float | None) -> bool:
        is_new = epoch > self.epoch
        self.epoch = max(epoch, self.epoch)
        values = {} if metric is None else {self._metric: metric}
        if metric is not None and math.isfinite(metric):
            self.curve[epoch] = metric
        if is_new:
            self._run.log({EPOCH: epoch, **values}, step=epoch)
        return not self._is_to_stop.is_set()

    def finish(self) -> bool:
        return self._end(0)

    def stop(self) -> bool:
        return self._end(0)

    def fail(self, reason: str) -> bool:
        self._run.summary[_REASON] = reason
        self._run.summary[_FAILURES] = self.failures + 1
        return self._end(1)

    def retry(self, reason: str) -> bool:
        self._run.summary[_FAILURES] = self.failures + 1
        return self.suspect(reason)

    def suspect(self, reason: str) -> bool:
        self._run.summary[_REASON] = reason
        return self.release()

    def release(self) -> bool:
        # A preempted run is queued again, but only if it ends with an error.
        self._run.mark_preempting()
        return self._close(1)

    def _end(self, exit_code: int) -> bool:
        self._run.summary[_ENDED] = time.time()
        return self._close(exit_code)

    def _close(self, exit_code: int) -> bool:
        self._has_ended.set()
        self._run.finish(exit_code=exit_code)
        return True


def _listen(
    sweep: WandbSweep,
    agent: str,
    run_id: str,
    is_to_stop: threading.Event,
    has_ended: threading.Event,
) -> None:
    """Say that the agent works on the run, and hear when it is to stop, until it has ended."""
    while not has_ended.wait(sweep.poll_seconds):
        try:
            command = sweep.heartbeat(agent, {run_id: True})
        except SweepError as error:
            _log.warning("%s", error)
            continue
        if command.get("type") == "exit" or (
            command.get("type") == "stop" and command.get("run_id") == run_id
        ):
            is_to_stop.set()


def trial_number(run_id: str) -> int:
    """A number for a W&B run, which has only a name: the same wherever and whenever it runs."""
    return zlib.crc32(run_id.encode())


def _record(run: Mapping[str, Any], spec: SweepSpec) -> TrialRecord:
    config, summary = _json(run, "config"), _json(run, "summaryMetrics")
    curve = _curve(run, spec.metric.name)
    state = _STATES.get(str(run["state"]), "failed")
    return TrialRecord(
        number=trial_number(run["name"]),
        params={name: config[name]["value"] for name in spec.parameters if name in config},
        state="stopped" if state == "finished" and run.get("stopped") else state,
        curve=curve,
        agent=summary.get(_AGENT),
        started=summary.get(_STARTED),
        ended=summary.get(_ENDED) if state not in {"running", "waiting"} else None,
        reason=summary.get(_REASON) or (f"W&B: {run['state']}" if state == "failed" else None),
        epoch=max([int(summary.get(EPOCH, 0)), *curve]),
        attempts=int(summary.get(_ATTEMPTS, 0)) + (state == "waiting"),
        held_since=summary.get(_HELD_SINCE) if state == "running" else None,
        last_sign=_moment(run.get("heartbeatAt")) if state == "running" else None,
        lease_seconds=_LEASE_S if state == "running" else None,
    )


def _moment(text: str | None) -> float | None:
    """Seconds since 1970 of a time that W&B writes, which is UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else None


def _curve(run: Mapping[str, Any], metric: str) -> dict[int, float]:
    sampled = run.get("sampledHistory") or [[]]
    points = {int(row[EPOCH]): row.get(metric) for row in sampled[0] if EPOCH in row}
    # W&B writes NaN and infinity as text.
    return {
        epoch: value for epoch, value in sorted(points.items()) if isinstance(value, int | float)
    }


def _json(run: Mapping[str, Any], key: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run.get(key) or "{}")
    return content

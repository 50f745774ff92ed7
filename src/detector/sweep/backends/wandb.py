"""Sweeps at W&B: its server draws the parameters, ends trials early and queues what was preempted.

A trial is a W&B run, so that everything W&B shows of a sweep is there. What W&B does not have is
not made up here: no lease but its own (a run without a heartbeat for five minutes has crashed), and
`run_cap` may be overrun by as many trials as agents ask at once.

The calls are those of `wandb agent`, through the installed client; they need its version 0.31.
"""

import json
import logging
import math
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import wandb
import yaml
from wandb.apis.public import sweeps as client
from wandb.errors import CommError, UsageError
from wandb.sdk.sweeps import SweepNotFoundError

from detector.errors import StorageLostError, SweepError
from detector.sweep.backends import Idle, RunningTrial, Stopping
from detector.sweep.backends.urls import backend_error, redact
from detector.sweep.trial import Params, TrialRecord, TrialState
from detector.sweepfile.spec import SweepSpec, read_sweep

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
        self.poll_seconds = poll_seconds
        self.entity, self.project = entity, project
        self._api = api
        self._api_lock = threading.Lock()
        self._agents: dict[tuple[str, str], str] = {}
        self._specs: dict[str, SweepSpec] = {}

    def create(
        self,
        spec: SweepSpec,
        *,
        stopping: Stopping = "file",
        max_epochs: int | None = None,  # noqa: ARG002  # W&B does not ask
    ) -> str:
        if stopping != "file":
            raise SweepError(
                "W&B's server alone ends the trials of its sweeps",
                remedy="leave out --stopping adaptive, or choose another backend",
            )
        with self._asked("create a sweep"):
            sweep, warnings = client._upsert_sweep(
                self._api, yaml.safe_load(spec.source), entity=self.entity, project=self.project
            )
        for warning in warnings:
            _log.warning("W&B on the sweep file: %s", warning)
        return str(sweep["name"])

    def spec(self, sweep_id: str) -> SweepSpec:
        if sweep_id not in self._specs:
            self._specs[sweep_id] = read_sweep(self._sweep(sweep_id)["config"], f"sweep {sweep_id}")
        return self._specs[sweep_id]

    def trials(self, sweep_id: str) -> list[TrialRecord]:
        spec = self.spec(sweep_id)
        return sorted(
            (_record(run, spec) for run in self.runs(sweep_id)), key=lambda trial: trial.number
        )

    def claim(self, sweep_id: str, agent: str) -> RunningTrial | Idle:
        command = self.heartbeat(sweep_id, agent, {})
        if command.get("type") == "exit":
            return Idle.DONE
        if command.get("type") not in {"run", "resume"}:
            return Idle.UNSURE
        params = {name: entry["value"] for name, entry in command["args"].items()}
        known = [run for run in self.runs(sweep_id) if run["name"] == command["run_id"]]
        return WandbTrial(
            self, sweep_id, agent, command["run_id"], params, known[0] if known else {}
        )

    def give_back(
        self,
        sweep_id: str,  # noqa: ARG002
        number: int,  # noqa: ARG002
        attempt: int,  # noqa: ARG002
        *,
        died: bool,  # noqa: ARG002
    ) -> bool:
        """W&B takes a run back from its own process alone; others have it when W&B misses it."""
        return False

    def stop(self, sweep_id: str, *, now: bool = False) -> None:
        try:
            with self._asked(f"stop sweep {sweep_id}"):
                client._set_sweep_state(
                    self._api,
                    sweep_id,
                    "CANCELED" if now else "FINISHED",
                    entity=self.entity,
                    project=self.project,
                )
        except SweepError:
            raise
        except Exception as error:  # the client's bare one: the sweep has ended before
            if now and self._state(sweep_id) != "CANCELED":
                raise SweepError(
                    f"W&B cancels no sweep that has ended: {error}",
                    where=f"sweep {sweep_id}",
                    remedy="stop its running runs on W&B's page",
                ) from None

    def is_stopped(self, sweep_id: str) -> bool:
        return self._state(sweep_id) in _OVER

    def _state(self, sweep_id: str) -> str:
        return str(self._sweep(sweep_id)["state"]).upper()

    def rungs(self, sweep_id: str) -> tuple[int, ...]:
        return tuple(self.spec(sweep_id).bands())

    def runs(self, sweep_id: str) -> list[dict[str, Any]]:
        """Every run of the sweep with its curve, as W&B tells of it."""
        keys = [EPOCH, self.spec(sweep_id).metric.name]
        return self._sweep(sweep_id, {"keys": keys, "samples": _SAMPLES})["runs"]

    def heartbeat(self, sweep_id: str, agent: str, running: Mapping[str, bool]) -> dict[str, Any]:
        """What W&B tells the agent to do, which is nothing where W&B does not answer.

        Args:
            running: the runs that it works on.
        """
        with self._asked(f"work on sweep {sweep_id}"):
            if (sweep_id, agent) not in self._agents:
                registered = client._register_agent(
                    self._api, agent, sweep_id=sweep_id, entity=self.entity, project=self.project
                )
                self._agents[sweep_id, agent] = registered["id"]
            agent_id = self._agents[sweep_id, agent]
            commands = client._agent_heartbeat(self._api, agent_id, {}, dict(running))
        return commands[0] if commands else {}

    def _sweep(self, sweep_id: str, history: Mapping[str, object] | None = None) -> dict[str, Any]:
        with self._asked(f"read sweep {sweep_id}"):
            return client._sweep_with_runs(
                self._api,
                sweep_id,
                json.dumps(history or {}),
                entity=self.entity,
                project=self.project,
            )

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
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


class WandbTrial:
    """A run that this process works on; see `RunningTrial`. A thread hears when it is to stop."""

    def __init__(
        self,
        backend: WandbBackend,
        sweep_id: str,
        agent: str,
        run_id: str,
        params: Params,
        known: Mapping[str, Any],
    ):
        self.number = trial_number(run_id)
        self.params = params
        self.curve = _curve(known, backend.spec(sweep_id).metric.name)
        self.epoch = max(self.curve, default=0)
        self.failures = int(_json(known, "summaryMetrics").get(_FAILURES, 0))
        self._backend, self._sweep_id, self._agent = backend, sweep_id, agent
        self._metric = backend.spec(sweep_id).metric.name
        self._told_to_stop = threading.Event()
        self._given_back = threading.Event()
        self._run = wandb.init(
            entity=backend.entity,
            project=backend.project,
            id=run_id,
            resume="allow",
            config=dict(params),
            # An agent has one trial at a time; by default the run of one that was left would stay.
            reinit="finish_previous",
            settings=wandb.Settings(sweep_id=sweep_id, console="off", silent=True),
        )
        now = time.time()
        # A resumed run's summary begins anew: what is to stay in it is told again.
        before = _json(known, "summaryMetrics")
        carried = {key: before[key] for key in (_STARTED, _FAILURES, _REASON) if key in before}
        self.attempt = int(before.get(_ATTEMPTS, 0)) + 1
        begun = {_AGENT: agent, _HELD_SINCE: now, _ATTEMPTS: self.attempt}
        self._run.summary.update({_STARTED: now, **carried, **begun})
        threading.Thread(target=self._listen, name=f"commands for {run_id}", daemon=True).start()

    def report(self, epoch: int, metric: float | None) -> bool:
        is_new = epoch > self.epoch
        self.epoch = max(epoch, self.epoch)
        values = {} if metric is None else {self._metric: metric}
        if metric is not None and math.isfinite(metric):
            self.curve[epoch] = metric
        if is_new:
            self._run.log({EPOCH: epoch, **values}, step=epoch)
        return not self._told_to_stop.is_set()

    def finish(self) -> bool:
        return self._end(0)

    def stop(self) -> bool:
        return self._end(0)

    def fail(self, reason: str, *, retry: bool, held_against_it: bool = True) -> bool:
        self._run.summary[_REASON] = reason
        self._run.summary[_FAILURES] = self.failures + held_against_it
        return self.release() if retry else self._end(1)

    def release(self) -> bool:
        # A preempted run is queued again, but only if it ends with an error.
        self._run.mark_preempting()
        return self._close(1)

    def _end(self, exit_code: int) -> bool:
        self._run.summary[_ENDED] = time.time()
        return self._close(exit_code)

    def _close(self, exit_code: int) -> bool:
        self._given_back.set()
        self._run.finish(exit_code=exit_code)
        return True

    def _listen(self) -> None:
        while not self._given_back.wait(self._backend.poll_seconds):
            running = {self._run.id: True}
            try:
                command = self._backend.heartbeat(self._sweep_id, self._agent, running)
            except SweepError as error:
                _log.warning("%s", error)
                continue
            if command.get("type") == "exit" or (
                command.get("type") == "stop" and command.get("run_id") == self._run.id
            ):
                self._told_to_stop.set()


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

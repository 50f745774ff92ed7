"""Sweeps in an Optuna storage: SQLite, PostgreSQL or a journal file.

What the storage is asked for stands here; how its content is read as a sweep, in `attempts`.

How a trial's end teaches the sampler: "finished" is COMPLETE with the best value of the curve,
"stopped" is PRUNED, which TPE ranks by how far it came and the value there, below every finished
trial; a trial that ended without a finite value is FAIL, which no sampler learns from.
"""

import functools
import logging
import math
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
import optuna
import sqlalchemy
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState, create_trial

from detector.errors import SweepError
from detector.sweep import space
from detector.sweep.backends import Idle, RunningTrial, attempts, backend_error
from detector.sweep.hyperband import finite_values
from detector.sweep.spec import SweepSpec, read_sweep
from detector.sweep.trial import Params, TrialRecord

optuna.logging.set_verbosity(optuna.logging.WARNING)
_log = logging.getLogger(__name__)

_SOURCE, _STOPPED = "sweep_file", "stopped"
_ID_LENGTH = 8
_BEATS_IN_A_LEASE = 3
_LONGEST_POLL = 2.0
"""Seconds; an agent that waits holds up whatever comes after the sweep."""
_IDLE_LAPSES = 3
"""Attempts in a row that may die before they finish an epoch: beyond it the trial itself kills
its agents, for example by its use of memory."""

_SQLITE_TIMEOUT_S = 60
_JOURNAL_LOCK_S = 10
_WAITS_S = (0.2, 1.0, 3.0, 9.0)
"""Pauses before a storage that did not answer is asked again."""

P = ParamSpec("P")
R = TypeVar("R")


def open_storage(url: str) -> BaseStorage:
    """The Optuna storage at a URL (see `open_backend`).

    Raises:
        SweepError: the URL is of no known kind, or nothing can be opened there.
    """
    kind, _, rest = url.partition(":///")
    try:
        if kind == "journal":
            return _open_journal(Path(rest))
        if kind == "sqlite":
            return _open_sqlite(url, Path(rest))
        if url.startswith(("postgresql://", "postgresql+")):
            return _open_postgresql(url)
    except ImportError:
        raise backend_error(
            "the database driver is not installed",
            url,
            "pip install 'detsweep[postgresql]'",
        ) from None
    except (OSError, sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
        # Not chained: a driver's error may quote the URL, and with it the password.
        raise backend_error(
            f"cannot open the backend: {error}", url, "check that it exists and may be written"
        ) from None
    raise backend_error(
        "no backend of this kind",
        url,
        "give sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE",
    )


def _open_journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    # An agent that is killed leaves its lock behind; the others wait this long for it.
    lock = JournalFileSymlinkLock(str(path), grace_period=_JOURNAL_LOCK_S)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _open_sqlite(url: str, path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT_S, "isolation_level": None}},
    )

    # SQLite has no row locks, so two agents could both read that a trial waits and both take it.
    # Beginning every transaction as a writer puts them in order.
    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def _begin_as_writer(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return optuna.storages.get_storage(storage)


def _open_postgresql(url: str) -> BaseStorage:
    if url.partition("?")[0].count("@") > 1:
        # A driver would take the password's end for the host, and print it.
        raise backend_error("the user or the password holds an @", url, "write it as %40")
    # What a bare postgresql:// means changed in SQLAlchemy 2.1; the extra installs this driver.
    url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    # One connection for the training and one for its signs of life: a server allows about 100.
    storage = RDBStorage(
        url, engine_kwargs={"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
    )
    return optuna.storages.get_storage(storage)


def _patiently(method: Callable[P, R]) -> Callable[P, R]:
    """Ask a storage that did not answer again. Repeating any call here is safe: at worst an attempt
    is created that nobody holds, which the next agent finds dead and continues."""

    @functools.wraps(method)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        for wait in _WAITS_S:
            try:
                return method(*args, **kwargs)
            except StorageInternalError as error:
                _log.warning("the sweep's storage did not answer (%s); trying again", error)
                time.sleep(wait)
        try:
            return method(*args, **kwargs)
        except StorageInternalError as error:
            raise SweepError(
                f"the sweep's storage does not answer: {error.__cause__ or error}",
                remedy="check that it runs and has room for more connections, then start the "
                "agent again: trials go on from their last epoch",
            ) from None

    return patient


class OptunaBackend:
    """Sweeps in one storage; a sweep is a study.

    Args:
        storage: as `open_storage` gives it.
        lease_seconds: an agent without a sign of life for so long is taken for dead.
    """

    def __init__(self, storage: BaseStorage, lease_seconds: float):
        self.storage = storage
        self.lease_seconds = lease_seconds
        self.poll_seconds = min(_LONGEST_POLL, lease_seconds / (2 * _BEATS_IN_A_LEASE))
        self._specs: dict[str, SweepSpec] = {}
        self._watch = attempts.LeaseWatch(lease_seconds)

    @_patiently
    def create(self, spec: SweepSpec) -> str:
        sweep_id = "".join(
            secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ID_LENGTH)
        )
        study = optuna.create_study(
            storage=self.storage, study_name=sweep_id, direction=spec.metric.goal
        )
        study.set_user_attr(_SOURCE, spec.source)
        return sweep_id

    @_patiently
    def spec(self, sweep_id: str) -> SweepSpec:
        if sweep_id not in self._specs:
            source = self.storage.get_study_user_attrs(self.study_id(sweep_id)).get(_SOURCE)
            if source is None:
                raise SweepError(
                    f"the study {sweep_id!r} is not a sweep of detsweep",
                    remedy="give the id that `detsweep sweep init` printed",
                )
            self._specs[sweep_id] = read_sweep(source, f"sweep {sweep_id}")
        return self._specs[sweep_id]

    @_patiently
    def trials(self, sweep_id: str) -> list[TrialRecord]:
        return [slot.record() for slot in self.slots(sweep_id)]

    @_patiently
    def stop(self, sweep_id: str) -> None:
        self.storage.set_study_user_attr(self.study_id(sweep_id), _STOPPED, True)

    @_patiently
    def is_stopped(self, sweep_id: str) -> bool:
        return bool(self.storage.get_study_user_attrs(self.study_id(sweep_id)).get(_STOPPED))

    @_patiently
    def claim(self, sweep_id: str, agent: str) -> RunningTrial | Idle:
        if self.is_stopped(sweep_id):
            return Idle.DONE
        self._requeue_the_dead(sweep_id)
        sweep = self.slots(sweep_id)
        waiting = [slot for slot in sweep if slot.state == "waiting"]
        # What failed here may do better elsewhere, so it comes last.
        failed_here = [slot for slot in waiting if slot.failed_by == agent]
        others = [slot for slot in waiting if slot.failed_by != agent]
        return (
            self._take_first(sweep_id, others, agent)
            or self._create(sweep_id, len(sweep), agent)
            or self._take_first(sweep_id, failed_here, agent)
            or self._why_idle(sweep_id)
        )

    def study_id(self, sweep_id: str) -> int:
        try:
            return self.storage.get_study_id_from_name(sweep_id)
        except KeyError:
            raise SweepError(
                f"there is no sweep {sweep_id!r} in this backend",
                remedy="check the id that `detsweep sweep init` printed, and the backend's URL",
            ) from None

    def slots(self, sweep_id: str) -> list[attempts.Slot]:
        """The sweep as it stands, every look at which also watches for signs of life."""
        trials = self.storage.get_all_trials(self.study_id(sweep_id), deepcopy=False)
        sweep = attempts.slots(trials, self.spec(sweep_id).trial_limit)
        self._watch.observe(sweep)
        return sweep

    def requeue(self, sweep_id: str, slot: attempts.Slot, changes: Mapping[str, object]) -> bool:
        """Let the trial wait for an agent, from where it is. False where it had ended before."""
        if slot.successor is None:
            waiting = attempts.waiting_copy(slot, changes)
            self.storage.create_new_trial(self.study_id(sweep_id), waiting)
        return self.end(sweep_id, slot.current.number, TrialState.FAIL)

    def _requeue_the_dead(self, sweep_id: str) -> None:
        for slot in self.slots(sweep_id):
            if slot.state != "running" or not self._watch.is_dead(slot):
                continue
            attrs = slot.current.user_attrs
            advanced = slot.epoch > attrs.get(attempts.FIRST_EPOCH, 0)
            lapses = 1 if advanced else attrs.get(attempts.IDLE_LAPSES, 0) + 1
            if lapses > _IDLE_LAPSES:
                self._give_up(sweep_id, slot, lapses)
            else:
                self.requeue(sweep_id, slot, {attempts.IDLE_LAPSES: lapses})

    def _give_up(self, sweep_id: str, slot: attempts.Slot, lapses: int) -> None:
        reason = f"{lapses} agents in a row died before they finished epoch {slot.epoch + 1}"
        number = slot.current.number
        ending = {attempts.REASON: reason, attempts.END: "failed", attempts.ENDED: time.time()}
        self.end(sweep_id, number, TrialState.FAIL, ending)

    def _take_first(
        self, sweep_id: str, waiting: list[attempts.Slot], agent: str
    ) -> RunningTrial | None:
        for slot in waiting:
            trial_id = self._trial_id(sweep_id, slot.current.number)
            try:
                granted = self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            except UpdateFinishedTrialError:
                granted = False
            if granted:
                return self._hold(sweep_id, slot, agent)
        return None

    def _create(self, sweep_id: str, existing: int, agent: str) -> RunningTrial | None:
        limit = self.spec(sweep_id).trial_limit
        if limit is not None and existing >= limit:
            return None
        study_id = self.study_id(sweep_id)
        started = {attempts.LEASE: self.lease(agent), attempts.STARTED: time.time()}
        trial_id = self.storage.create_new_trial(
            study_id, create_trial(state=TrialState.RUNNING, user_attrs=started)
        )
        attempt = self.storage.get_trial_number_from_id(trial_id)
        everyone = attempts.slots(self.storage.get_all_trials(study_id, deepcopy=False), None)
        created = next(slot for slot in everyone if slot.attempts[0].number == attempt)
        if limit is not None and created.number >= limit:
            self.end(sweep_id, attempt, TrialState.FAIL)
            return None
        return self._hold(sweep_id, created, agent)

    def _hold(self, sweep_id: str, slot: attempts.Slot, agent: str) -> RunningTrial:
        trial_id = self._trial_id(sweep_id, slot.current.number)
        self.storage.set_trial_user_attr(trial_id, attempts.LEASE, self.lease(agent, slot.epoch))
        params = slot.current.user_attrs.get(attempts.PARAMS)
        if params is None:
            params = self._choose_params(sweep_id, slot.number, trial_id)
            self.storage.set_trial_user_attr(trial_id, attempts.PARAMS, params)
        return OptunaTrial(self, sweep_id, slot, trial_id, params, agent)

    def lease(self, agent: str, epoch: int = 0, beat: int = 0) -> dict[str, Any]:
        return {"agent": agent, "seconds": self.lease_seconds, "beat": beat, "epoch": epoch}

    def _choose_params(self, sweep_id: str, number: int, trial_id: int) -> dict[str, object]:
        spec = self.spec(sweep_id)
        if spec.method == "grid":
            return space.grid_point(spec.parameters, number)
        scored = self.storage.get_n_trials(
            self.study_id(sweep_id), state=(TrialState.COMPLETE, TrialState.PRUNED)
        )
        if spec.method == "bayes" and scored >= _startup_trials(spec):
            point = self._suggest(sweep_id, spec, number, trial_id)
        else:
            point = space.draw(spec.parameters, np.random.default_rng([spec.seed, number]))
            self._record_point(spec, trial_id, point)
        return space.values(spec.parameters, point)

    def _suggest(
        self, sweep_id: str, spec: SweepSpec, number: int, trial_id: int
    ) -> dict[str, space.Coordinate]:
        """A point from TPE (Watanabe 2023, "Tree-Structured Parzen Estimator"), multivariate, which
        takes running trials for bad ones so that agents do not crowd."""
        sampler = optuna.samplers.TPESampler(
            seed=(spec.seed + number) % 2**32,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=_startup_trials(spec),
        )
        study = optuna.load_study(study_name=sweep_id, storage=self.storage, sampler=sampler)
        trial = optuna.trial.Trial(study, trial_id)
        return {
            name: _suggest_on(trial, name, _distribution(axis))
            for name, axis in space.axes(spec.parameters).items()
        }

    def _record_point(
        self, spec: SweepSpec, trial_id: int, point: Mapping[str, space.Coordinate]
    ) -> None:
        for name, axis in space.axes(spec.parameters).items():
            distribution = _distribution(axis)
            internal = distribution.to_internal_repr(point[name])
            self.storage.set_trial_param(trial_id, name, internal, distribution)

    def _why_idle(self, sweep_id: str) -> Idle:
        sweep = self.slots(sweep_id)
        if any(slot.state == "waiting" for slot in sweep):
            return Idle.UNSURE
        running = [slot for slot in sweep if slot.state == "running"]
        if not running:
            return Idle.DONE
        alive = all(self._watch.is_alive(slot) for slot in running)
        return Idle.OTHERS_RUN if alive else Idle.UNSURE

    def _trial_id(self, sweep_id: str, attempt: int) -> int:
        study_id = self.study_id(sweep_id)
        return self.storage.get_trial_id_from_study_id_trial_number(study_id, attempt)

    def end(
        self,
        sweep_id: str,
        attempt: int,
        state: TrialState,
        attrs: Mapping[str, object] | None = None,
        value: float | None = None,
    ) -> bool:
        """End an attempt, unless it has ended already: the first to do so decides."""
        trial_id = self._trial_id(sweep_id, attempt)
        try:
            for key, content in (attrs or {}).items():
                self.storage.set_trial_user_attr(trial_id, key, content)
            values = None if value is None else [value]
            return self.storage.set_trial_state_values(trial_id, state, values)
        except UpdateFinishedTrialError:
            return False


class OptunaTrial:
    """A trial that this process holds; see `RunningTrial`. A thread gives the signs of life."""

    def __init__(
        self,
        backend: OptunaBackend,
        sweep_id: str,
        slot: attempts.Slot,
        trial_id: int,
        params: Params,
        agent: str,
    ):
        self.number = slot.number
        self.params = params
        self.epoch = slot.epoch
        self.failures = int(slot.current.user_attrs.get(attempts.FAILURES, 0))
        self.curve = slot.curve
        self._backend = backend
        self._sweep_id = sweep_id
        self._attempt = slot.current.number
        self._trial_id = trial_id
        self._agent = agent
        self._beat = 0
        self._beat_lock = threading.Lock()
        self._given_back = threading.Event()
        threading.Thread(
            target=self._keep, name=f"lease of trial {slot.number}", daemon=True
        ).start()

    @_patiently
    def report(self, epoch: int, metric: float | None) -> bool:
        self.epoch = epoch
        try:
            if metric is not None and math.isfinite(metric):
                self._backend.storage.set_trial_intermediate_value(self._trial_id, epoch, metric)
                self.curve[epoch] = metric
            self._give_sign()
        except UpdateFinishedTrialError:
            _log.warning("trial %d was taken over by another agent", self.number)
            return False
        return not (self._backend.is_stopped(self._sweep_id) or self._is_beaten())

    @_patiently
    def finish(self) -> bool:
        return self._end(TrialState.COMPLETE, {}, self._best())

    @_patiently
    def stop(self) -> bool:
        if not self.curve:
            return self._end(TrialState.FAIL, {attempts.END: "stopped"})
        return self._end(TrialState.PRUNED, {})

    @_patiently
    def fail(self, reason: str, *, retry: bool) -> bool:
        if retry:
            failure = {
                attempts.REASON: reason,
                attempts.FAILURES: self.failures + 1,
                attempts.FAILED_BY: self._agent,
            }
            return self._requeue(failure)
        return self._end(TrialState.FAIL, {attempts.REASON: reason, attempts.END: "failed"})

    @_patiently
    def release(self) -> bool:
        return self._requeue({})

    def _is_beaten(self) -> bool:
        spec = self._backend.spec(self._sweep_id)
        if spec.early_terminate is None:
            return False
        # An attempt that repeats epochs has not passed those ahead of it yet.
        passed = {epoch: value for epoch, value in self.curve.items() if epoch <= self.epoch}
        histories = [
            finite_values(passed if slot.number == self.number else slot.curve)
            for slot in self._backend.slots(self._sweep_id)
        ]
        rule = spec.early_terminate.rule()
        return rule.should_stop(finite_values(passed), histories, spec.metric.goal)

    def _best(self) -> float:
        goal = self._backend.spec(self._sweep_id).metric.goal
        return (max if goal == "maximize" else min)(self.curve.values())

    def _end(self, state: TrialState, attrs: dict[str, object], value: float | None = None) -> bool:
        self._given_back.set()
        attrs = {**attrs, attempts.ENDED: time.time()}
        return self._backend.end(self._sweep_id, self._attempt, state, attrs, value)

    def _requeue(self, changes: dict[str, object]) -> bool:
        self._given_back.set()
        slot = self._backend.slots(self._sweep_id)[self.number]
        still_held = slot.current.number == self._attempt and slot.state == "running"
        return still_held and self._backend.requeue(self._sweep_id, slot, changes)

    def _give_sign(self) -> None:
        with self._beat_lock:
            self._beat += 1
            lease = self._backend.lease(self._agent, self.epoch, self._beat)
            self._backend.storage.set_trial_user_attr(self._trial_id, attempts.LEASE, lease)

    def _keep(self) -> None:
        """Give signs of life, and look for those of others, until the trial is given back."""
        while not self._given_back.wait(self._backend.lease_seconds / _BEATS_IN_A_LEASE):
            try:
                self._give_sign()
                self._backend.slots(self._sweep_id)
            except UpdateFinishedTrialError:
                return  # Taken over, which the next report finds out.
            except StorageInternalError as error:
                _log.warning("no sign of life could be given for trial %d: %s", self.number, error)


def _startup_trials(spec: SweepSpec) -> int:
    """Trials with a result that TPE needs before it knows better than the prior: a quarter of the
    sweep, within 4 and Optuna's own default."""
    most = 10
    return most if spec.run_cap is None else min(most, max(4, spec.run_cap // 4))


def _distribution(axis: space.Axis) -> BaseDistribution:
    if isinstance(axis, space.Choice):
        return CategoricalDistribution(axis.labels)
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high))
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _suggest_on(
    trial: optuna.trial.Trial, name: str, distribution: BaseDistribution
) -> space.Coordinate:
    if isinstance(distribution, CategoricalDistribution):
        return str(trial.suggest_categorical(name, distribution.choices))
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)

"""Sweeps in an Optuna storage: which trial an agent gets.

What is recorded and how stands in `study`, with which parameters in `searching`, what becomes of a
trial that an agent holds in `held`, how each kind of storage is opened in `storages`.
"""

import secrets
import socket
import string
import time
from functools import partial

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage

from detector.errors import SweepError
from detector.sweep.backends import attempts
from detector.sweep.backends.attempts import LeaseWatch, Slot
from detector.sweep.backends.held import BEATS_IN_A_LEASE, StudyTrial
from detector.sweep.backends.patience import StoragePatience, patiently
from detector.sweep.backends.searching import Searching
from detector.sweep.backends.study import StopState, Study
from detector.sweep.best import best_trial
from detector.sweep.capabilities import Lacks
from detector.sweep.protocol import HeldTrial, Idle
from detector.sweep.trial import Stopping, TrialRecord
from detector.sweepfile.spec import SweepSpec, read_sweep

_SOURCE = "sweep_file"
_STOPPING, _MAX_EPOCHS = "stopping", "max_epochs"
_ID_LENGTH = 8
_LONGEST_POLL = 2.0
"""Seconds; an agent that waits holds up whatever comes after the sweep."""


class OptunaBackend:
    """Sweeps in one storage; a sweep is a study. See `Backend`.

    Args:
        storage: as `open_storage` opens it.
        lease_seconds: an agent that sends no heartbeat for this long counts as dead.
        most_agents: one agent more is refused; None for any number.
        patience_seconds: how long a storage that does not answer is asked again.
    """

    def __init__(
        self,
        storage: BaseStorage,
        lease_seconds: float,
        *,
        most_agents: int | None = None,
        patience_seconds: float,
    ):
        self.lacks: Lacks = {}
        self.storage = storage
        self.lease_seconds = lease_seconds
        self.most_agents = most_agents
        self.node = socket.gethostname()
        self.poll_seconds = min(_LONGEST_POLL, lease_seconds / (2 * BEATS_IN_A_LEASE))
        self._patience = partial(StoragePatience, patience_seconds, self.poll_seconds)
        self.patience = self._patience(lambda: None)

    @patiently
    def create(
        self, spec: SweepSpec, *, stopping: Stopping = "file", max_epochs: int | None = None
    ) -> "OptunaSweep":
        sweep_id = "".join(
            secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ID_LENGTH)
        )
        study = optuna.create_study(
            storage=self.storage, study_name=sweep_id, direction=spec.metric.goal
        )
        study.set_user_attr(_STOPPING, stopping)
        study.set_user_attr(_MAX_EPOCHS, max_epochs)
        # Last, since a study without it is no sweep yet.
        study.set_user_attr(_SOURCE, spec.source)
        return self.open(sweep_id)

    @patiently
    def open(self, sweep_id: str) -> "OptunaSweep":
        try:
            study_id = self.storage.get_study_id_from_name(sweep_id)
        except KeyError:
            raise SweepError(
                f"there is no sweep {sweep_id!r} in this backend",
                remedy="check the id that `detsweep sweep init` printed, and the backend's URL",
            ) from None
        kept = self.storage.get_study_user_attrs(study_id)
        if _SOURCE not in kept:
            raise SweepError(
                f"the study {sweep_id!r} is not a sweep of detsweep",
                remedy="give the id that `detsweep sweep init` printed",
            )
        spec = read_sweep(kept[_SOURCE], f"sweep {sweep_id}")
        watch = LeaseWatch(self.lease_seconds)
        study = Study(self.storage, study_id, spec, self.node, self.lease_seconds, watch)
        searching = Searching(study, kept.get(_STOPPING, "file"), kept.get(_MAX_EPOCHS))
        # Who could not write cannot tell whether others could: their silence proves nothing.
        patience = self._patience(watch.forget)
        return OptunaSweep(sweep_id, searching, patience, self.poll_seconds, self.most_agents)


class OptunaSweep:
    """One sweep, whose record is a study; see `Sweep`.

    Args:
        most_agents: one agent more is refused; None for any number.
    """

    def __init__(
        self,
        sweep_id: str,
        searching: Searching,
        patience: StoragePatience,
        poll_seconds: float,
        most_agents: int | None,
    ):
        self.lacks: Lacks = {}
        self.id = sweep_id
        self.study = searching.study
        self.patience = patience
        self.poll_seconds = poll_seconds
        self._searching = searching
        self._most_agents = most_agents
        self._was_given_trials = False

    @property
    def spec(self) -> SweepSpec:
        return self.study.spec

    @patiently
    def trials(self) -> list[TrialRecord]:
        return [slot.record() for slot in self.study.slots()]

    def best(self) -> TrialRecord | None:
        return best_trial(self.trials(), self.spec.metric.goal)

    @patiently
    def rungs(self) -> tuple[int, ...]:
        return self._searching.rungs()

    @patiently
    def stop(self, *, now: bool = False) -> None:
        self.study.stop(now=now)

    def extend(self, trials: int) -> None:
        if self.spec.trial_limit is None or self.spec.method == "grid":
            is_grid = self.spec.method == "grid"
            which = "a grid has all its points" if is_grid else "it has no run_cap"
            raise SweepError(
                f"there is nothing to add: {which}",
                where=f"sweep {self.id}",
                remedy="start agents, if it has not ended: `detsweep sweep agent`",
            )
        self._add([secrets.token_hex(8) for _ in range(trials)])

    @patiently
    def _add(self, names: list[str]) -> None:
        self.study.add(names)

    @patiently
    def retry(self, number: int) -> None:
        slot = next((slot for slot in self.study.slots() if slot.number == number), None)
        if slot is None or slot.state != "failed":
            state = "not there" if slot is None else slot.state
            raise SweepError(
                f"trial {number} is {state}",
                where=f"sweep {self.id}",
                remedy="name one that has failed, as `detsweep sweep status` shows it",
            )
        self.study.retry(slot)

    @patiently
    def is_stopped(self) -> bool:
        return self.study.stop_state() is not StopState.NOT_STOPPED

    @patiently
    def claim(self, agent: str) -> HeldTrial | Idle:
        stop = self.study.stop_state()
        if stop is StopState.NOW:
            return Idle.DONE
        sweep = self._requeue_the_dead()
        if self._has_no_place(sweep, agent):
            return Idle.UNSURE
        elsewhere, here = self._by_where_they_failed(sweep, agent)
        trial = (
            self._take_first(elsewhere, agent)
            or (self._begin(sweep, agent) if stop is StopState.NOT_STOPPED else None)
            or self._take_first(here, agent)
        )
        if trial is None:
            return self._why_idle()
        if self._came_too_late(trial):
            trial.release()
            return Idle.UNSURE
        self._was_given_trials = True
        return trial

    @patiently
    def requeue(self, number: int, attempt: int, *, died: bool) -> bool:
        slot = self.study.slots()[number]
        if slot.state != "running" or slot.current.number != attempt:
            return False
        return self.study.bury(slot, is_witnessed=True) if died else self.study.requeue(slot, {})

    def _has_no_place(self, sweep: list[Slot], agent: str) -> bool:
        """Whether the storage stands no further agent.

        Raises:
            SweepError: for certain, and this agent has had no place before.
        """
        others = [slot for slot in _running(sweep) if slot.lease.get("agent") != agent]
        if self._most_agents is None or len(others) < self._most_agents:
            return False
        if self._was_given_trials or not all(map(self.study.watch.is_alive, others)):
            return True
        raise SweepError(
            f"{self._most_agents} agents work on this sweep, and SQLite stands no more at once",
            where=f"sweep {self.id}",
            remedy="for more agents create the sweep on one machine's disk in journal:///FILE, in "
            "postgresql://…, or behind `detsweep sweep serve` as grpc://HOST:PORT",
        )

    def _came_too_late(self, trial: StudyTrial) -> bool:
        """Whether agents that asked at the same moment took the last places."""
        if self._most_agents is None:
            return False
        first = sorted(slot.current.number for slot in _running(self.study.slots()))
        return trial.attempt not in first[: self._most_agents]

    def _by_where_they_failed(self, sweep: list[Slot], agent: str) -> tuple[list[Slot], list[Slot]]:
        """The trials that wait: those to take first, and those that failed here, which may do
        better elsewhere. What this machine may be to blame for is left to others while they work.
        """
        node = self.study.node
        waiting = [slot for slot in sweep if slot.state == "waiting"]
        others_work = any(slot.lease.get("node") != node for slot in _running(sweep))
        failed_here = [slot for slot in waiting if node == slot.failed_on]
        blames_agent = [slot for slot in waiting if agent == slot.failed_by]
        elsewhere = [slot for slot in waiting if slot not in failed_here + blames_agent]
        here = [slot for slot in waiting if slot not in elsewhere]
        return elsewhere, [slot for slot in here if not (others_work and slot in failed_here)]

    def _requeue_the_dead(self) -> list[Slot]:
        """Let the trials of dead agents wait; the sweep as it stands then."""
        sweep = self.study.slots()
        dead = [slot for slot in _running(sweep) if self.study.watch.is_dead(slot)]
        for slot in dead:
            self.study.bury(slot, is_witnessed=False)
        return self.study.slots() if dead else sweep

    def _take_first(self, waiting: list[Slot], agent: str) -> StudyTrial | None:
        for slot in waiting:
            if self.study.take(slot) and (held := self._try_to_hold(slot, agent)):
                return held
        return None

    def _begin(self, sweep: list[Slot], agent: str) -> StudyTrial | None:
        limit = self.spec.trial_limit
        if limit is not None and sum(not slot.is_added for slot in sweep) >= limit:
            return None
        begun = self.study.begin(agent)
        return self._try_to_hold(begun, agent) if begun else None

    def _try_to_hold(self, slot: Slot, agent: str) -> StudyTrial | None:
        """None where this process was paused for so long that others count it as dead already."""
        try:
            return self._hold(slot, agent)
        except UpdateFinishedTrialError:
            return None

    def _hold(self, slot: Slot, agent: str) -> StudyTrial:
        study, trial_id = self.study, self.study.trial_id(slot.current.number)
        lease = study.lease(agent, slot.epoch)
        study.storage.set_trial_user_attr(trial_id, attempts.LEASE, lease)
        params = slot.current.user_attrs.get(attempts.PARAMS)
        if params is None:
            params = self._searching.choose_params(slot.number, trial_id)
            study.storage.set_trial_user_attr(trial_id, attempts.PARAMS, params)
        if attempts.STARTED not in slot.current.user_attrs:
            study.storage.set_trial_user_attr(trial_id, attempts.STARTED, time.time())
        return StudyTrial(self._searching, slot, params, agent, self.patience)

    def _why_idle(self) -> Idle:
        sweep = self.study.slots()
        if any(slot.state == "waiting" for slot in sweep):
            return Idle.UNSURE
        running = _running(sweep)
        if not running:
            return Idle.DONE
        alive = all(map(self.study.watch.is_alive, running))
        return Idle.OTHERS_RUN if alive else Idle.UNSURE


def _running(sweep: list[Slot]) -> list[Slot]:
    return [slot for slot in sweep if slot.state == "running"]

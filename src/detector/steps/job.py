"""A whole run as the pods of one Kubernetes Job (k8s/jobs/run.yaml). None of them asks Kubernetes.

    python3 -m detector.steps.job SWEEP_FILE

Pod 0 leads: it checks the data, creates the sweep, trains trials, and when all have ended it
chooses the best, trains the folds and builds the ensemble. The others train trials. Each finds what
was finished before, should it be started again. None holds its place while it can do nothing: where
there is room for one pod alone, pod 0 has to get it.

The exit code says what the Job is to do: 75 and 143 start the pod again, 78 fails the run, 2 ends
this agent alone.
"""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from detector.choosing.candidates import BALANCE
from detector.console import LOST_EXIT_CODE, plain_errors, say
from detector.environment import whole
from detector.errors import (
    ConfigError,
    DetsweepError,
    PreemptedError,
    StorageLostError,
    StoreLostError,
)
from detector.steps.agent import run_lasting_agent
from detector.steps.ensemble import build_lastingly
from detector.steps.fold import train_fold_lastingly
from detector.steps.prepare import Prepared
from detector.steps.run import Run
from detector.steps.select import select_lastingly
from detector.steps.sweep_init import begin_run
from detector.sweep.opening import SweepAddress
from detector.sweep.status import SweepStatus, sweep_status
from detector.sweepfile.spec import read_sweep_file

TRY_AGAIN = LOST_EXIT_CODE
RUN_FAILED = 78

_INDEX = "JOB_COMPLETION_INDEX"
_POLL_S = 5.0
_NO_SWEEP_S = 120.0
"""How long a pod waits for the sweep before it leaves its place to another."""


@dataclass(frozen=True)
class Job:
    """What the pods of a Job are given.

    Attributes:
        index: of this pod.
        data, store, backend: URLs.
        overrides: of the configuration.
        no_sweep_s: how long a pod waits for the sweep to be created.
    """

    index: int
    data: str
    store: str
    backend: str
    overrides: tuple[str, ...]
    no_sweep_s: float = _NO_SWEEP_S

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> "Job":
        """
        Raises:
            ConfigError: a variable is missing, the index is no number, or the overrides are no
                shell words.
        """
        words = environ.get("DETSWEEP_OVERRIDES", "")
        try:
            return cls(
                whole(_INDEX, environ[_INDEX], least=0),
                environ["DETSWEEP_DATA"],
                environ["DETSWEEP_STORE"],
                environ["DETSWEEP_BACKEND"],
                tuple(shlex.split(words)),
            )
        except ValueError as error:
            raise ConfigError(
                f"{words!r} are no words as a shell has them: {error}",
                where="DETSWEEP_OVERRIDES",
                remedy="close every quote, such as preset=quickstart 'data.note=two words'",
            ) from error
        except KeyError as error:
            raise ConfigError(
                f"the variable {error} is not set",
                remedy="the ConfigMap detsweep-settings sets it, and an Indexed Job the index",
            ) from error

    @property
    def agent(self) -> str:
        """The name of this pod's agent."""
        return f"agent-{self.index}"

    @property
    def run(self) -> Run:
        """The run store."""
        return Run(self.store)

    def lead(self, sweep_file: Path) -> None:
        """Everything, from the check of the data to the ensemble.

        Raises:
            DetsweepError: the run cannot go on, whoever tries.
        """
        run, sweep = self.run, self.create_sweep(sweep_file)
        self.see_trials_through(sweep)
        select_lastingly(run, sweep, agents=1, trials_per_agent=0)
        if not run.is_prepared:
            say("the sweep is of a program of your own: there are no folds to train")
            return
        for fold in Prepared.of(run).fold_numbers:
            train_fold_lastingly(run, fold)
        build_lastingly(run, BALANCE, baseline="")

    def follow(self) -> None:
        """Train trials until there are none left to take.

        Raises:
            DetsweepError: why this agent gave up.
        """
        gave_up = self._train(self._wait_for_sweep())
        if gave_up is not None:
            raise gave_up

    def create_sweep(self, file: Path) -> SweepAddress:
        """The run's sweep, which is created if there is none yet."""
        text = read_sweep_file(file)
        return begin_run(self.run, self.backend, text, file.name, self.overrides, self.data)

    def see_trials_through(self, address: SweepAddress) -> None:
        """Train until every trial of the sweep has ended, those of agents that were lost too.

        Raises:
            DetsweepError: why this agent gave up, where no other is at work.
        """
        sweep = address.open()
        gave_up: DetsweepError | None = None
        while not (status := sweep_status(sweep)).is_over:
            others = _at_work(status)
            if gave_up is None and (not others or _has_work_left(status, others)):
                gave_up = self._train(address)
            elif gave_up is not None and not others:
                raise gave_up
            else:
                time.sleep(_POLL_S)

    def _train(self, address: SweepAddress) -> DetsweepError | None:
        """Why this agent gave up, if it did."""
        return run_lasting_agent(self.run, address, self.agent).gave_up

    def _wait_for_sweep(self) -> SweepAddress:
        run, until = self.run, time.monotonic() + self.no_sweep_s
        while (begun := run.begun) is None:
            if time.monotonic() >= until:
                say(
                    "pod 0 has not created the sweep yet: leaving it the place, to be started again"
                )
                raise SystemExit(TRY_AGAIN)
            say(f"waiting for pod 0 to create the sweep in {self.store}")
            time.sleep(_POLL_S)
        return SweepAddress(self.backend, begun.id)


def _at_work(status: SweepStatus) -> list[str]:
    """The agents that hold a trial and have sent a heartbeat within its lease."""
    return [
        agent.name
        for agent in status.agents
        if agent.last_sign is None
        or agent.lease_seconds is None
        or agent.last_sign + agent.lease_seconds > status.at
    ]


def _has_work_left(status: SweepStatus, at_work: list[str]) -> bool:
    """Whether there is a trial that an agent could take now."""
    to_begin = status.limit is None or len(status.trials) < status.limit
    return (
        (to_begin and not status.is_stopped)
        or bool(status.states.get("waiting"))
        or len(status.agents) > len(at_work)
    )


def main() -> None:
    """Lead or follow, by the index of this pod."""
    with plain_errors():
        leads = os.environ.get(_INDEX) == "0"
        try:
            job = Job.of_environment(os.environ)
            job.lead(Path(sys.argv[1])) if leads else job.follow()
        except (PreemptedError, StorageLostError, StoreLostError):
            raise
        except DetsweepError as error:
            if not leads:
                raise
            print(f"error: {error}", file=sys.stderr, flush=True)
            raise SystemExit(RUN_FAILED) from error


if __name__ == "__main__":
    main()

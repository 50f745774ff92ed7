"""Where a sweep's trials are kept and handed out. One protocol; which backend, its URL decides.

Nothing outside this package knows which backend it talks to.
"""

import os
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Literal, Protocol

from detector.patience import SHORT_PATIENCE_S, patience_seconds
from detector.sweep.backends.urls import backend_error, not_installed, redact
from detector.sweep.trial import Params, TrialRecord
from detector.sweepfile.spec import SweepSpec

__all__ = [
    "Backend",
    "Idle",
    "RunningTrial",
    "backend_error",
    "open_backend",
    "redact",
    "serve_proxy",
]

LEASE_SECONDS = 120.0
"""An agent that gives no sign of life for so long is taken for dead. `DETSWEEP_LEASE_SECONDS`
changes it."""


Stopping = Literal["file", "adaptive"]
"""What ends trials early; see `Backend.create`."""


class Idle(Enum):
    """Why an agent was given no trial."""

    DONE = "every trial has ended, or the sweep was stopped"
    OTHERS_RUN = "what is left is run by agents that have just given a sign of life"
    UNSURE = "what is left is run by agents that may be alive or dead, which time will show"


class RunningTrial(Protocol):
    """A trial that this agent holds. It has to be given back by exactly one of `finish`, `stop`,
    `fail` and `release`; until then it is kept from other agents by signs of life."""

    @property
    def number(self) -> int: ...

    @property
    def attempt(self) -> int:
        """Which attempt at the trial this is. It only rises, so no two holders have the same."""

    @property
    def params(self) -> Params: ...

    @property
    def epoch(self) -> int:
        """The last epoch that finished, here or in the hands of an agent before; 0 at first."""

    @property
    def curve(self) -> Mapping[int, float]:
        """The finite values of the metric so far, by epoch, those before a takeover included."""

    @property
    def failures(self) -> int:
        """How many failures are held against it so far."""

    def report(self, epoch: int, metric: float | None) -> bool:
        """Record finished epoch `epoch` (from 1) and its metric, which may be NaN or missing.

        Returns:
            False where the trial has to end here: early termination, a stopped sweep, or another
            agent that took it over.
        """

    def finish(self) -> bool:
        """It was trained to its end. False where another agent had taken it over: then this one's
        result does not count (the same holds for the following three)."""

    def stop(self) -> bool:
        """It ended where `report` said so; its curve counts."""

    def fail(self, reason: str, *, retry: bool, held_against_it: bool = True) -> bool:
        """It failed. `retry` queues it once more; otherwise it has ended without a score.

        Args:
            held_against_it: False where the agent's machine may be to blame. The failure is then
                no part of `failures`, and the trial is kept from this machine while others work.
        """

    def release(self) -> bool:
        """It is queued again at once, to be resumed from its checkpoint."""


class Backend(Protocol):
    """Sweeps by id."""

    poll_seconds: float
    """How long an idle agent waits before it asks again."""

    def create(
        self, spec: SweepSpec, *, stopping: Stopping = "file", max_epochs: int | None = None
    ) -> str:
        """The id of a new sweep.

        Args:
            stopping: what ends trials early. "file" keeps to the sweep file: W&B's bands if it has
                `early_terminate`, otherwise detsweep's own rule for bayes and none for the other
                methods. "adaptive" is detsweep's own rule, whatever the file says.
            max_epochs: a trial's epochs where the sweep file does not say. Where they are not known
                at all, the own rule waits for the first trial that finishes.
        """

    def spec(self, sweep_id: str) -> SweepSpec:
        """The sweep's file.

        Raises:
            SweepError: there is no such sweep.
        """

    def trials(self, sweep_id: str) -> list[TrialRecord]:
        """Every trial that was started, by number."""

    def claim(self, sweep_id: str, agent: str) -> RunningTrial | Idle:
        """A trial for `agent` to run: one that was released or whose agent died, else a new one.
        No trial is ever held by two agents."""

    def give_back(self, sweep_id: str, number: int, attempt: int, *, died: bool) -> bool:
        """Let a trial wait for an agent at once, on behalf of the process that holds it.

        For who knows that the process has died or is about to, before its lease has run out.

        Args:
            attempt: the holder's. Where another attempt has begun nothing is done.
            died: it counts as a death of its agent; a trial survives a few of these in a row.

        Returns:
            Whether the attempt held the trial. Its later reports return False.
        """

    def stop(self, sweep_id: str, *, now: bool = False) -> None:
        """No trial is begun any more. Those that were begun are trained to their end, or with
        `now` end at their next report."""

    def is_stopped(self, sweep_id: str) -> bool: ...

    def rungs(self, sweep_id: str) -> tuple[int, ...]:
        """After how many values of its metric a trial is compared with others, rising. Empty where
        none is ended early, or where it is not known yet."""


def open_backend(
    url: str, lease_seconds: float | None = None, patience_seconds: float = SHORT_PATIENCE_S
) -> Backend:
    """The backend at a URL: `sqlite:///FILE`, `journal:///FILE`, `postgresql://…`,
    `grpc://HOST:PORT` (see `detsweep sweep serve`) or `wandb://ENTITY/PROJECT`.

    A file is relative with three slashes, absolute with four.

    Args:
        lease_seconds: see `LEASE_SECONDS`.
        patience_seconds: how long a storage that does not answer is asked again.

    Raises:
        StorageLostError: it did not answer for so long.
        SweepError: the URL is of no known kind, or nothing can be opened there.
    """
    if url.startswith("wandb://"):
        from detector.sweep.backends.wandb import open_wandb  # noqa: PLC0415

        return open_wandb(url)
    # Optuna and its database driver take a while to import, which no other command should pay.
    from detector.sweep.backends.optuna import OptunaBackend  # noqa: PLC0415
    from detector.sweep.backends.patience import open_patiently  # noqa: PLC0415
    from detector.sweep.backends.storages import most_agents, open_storage  # noqa: PLC0415

    return OptunaBackend(
        open_patiently(lambda: open_storage(url), patience_seconds),
        lease_seconds or float(os.environ.get("DETSWEEP_LEASE_SECONDS", LEASE_SECONDS)),
        most_agents=most_agents(url),
        patience_seconds=patience_seconds,
    )


def open_step_backend(url: str) -> Backend:
    """`open_backend` for a step, for which nobody waits: it has the patience that
    `DETSWEEP_PATIENCE_SECONDS` says."""
    return open_backend(url, patience_seconds=patience_seconds())


def serve_proxy(url: str, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve the sweeps of a database to agents whose backend is `grpc://HOST:PORT`, until SIGTERM.

    Raises:
        SweepError: there is no such database, the port is taken, or gRPC is not installed.
    """
    from detector.sweep.backends.storages import open_storage  # noqa: PLC0415

    try:
        # gRPC is an extra.
        from detector.sweep.backends.grpc_proxy import CONNECTIONS, serve  # noqa: PLC0415
    except ImportError:
        raise not_installed("grpc:") from None
    if not url.startswith(("postgresql", "sqlite:")):
        raise backend_error("the proxy serves databases only", url, "give postgresql://…")
    serve(open_storage(url, CONNECTIONS), host, port, on_ready)

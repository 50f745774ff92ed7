"""From the URL of a backend to its sweeps. Nothing else knows which backend it talks to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from detector.environment import usual_lease_seconds
from detector.patience import SHORT_PATIENCE_S, patience_seconds
from detector.sweep.backends.urls import backend_error, not_installed
from detector.sweep.protocol import Backend, Sweep


def open_backend(
    url: str, lease_seconds: float | None = None, patience_seconds: float = SHORT_PATIENCE_S
) -> Backend:
    """The backend at a URL: `sqlite:///FILE`, `journal:///FILE`, `postgresql://…`,
    `grpc://HOST:PORT` (see `detsweep sweep serve`) or `wandb://ENTITY/PROJECT`.

    A file is relative with three slashes, absolute with four.

    Args:
        lease_seconds: see `usual_lease_seconds`, which it is by default.
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
        lease_seconds or usual_lease_seconds(),
        most_agents=most_agents(url),
        patience_seconds=patience_seconds,
    )


def require_backend(url: str, agents: int = 1) -> None:
    """Refuse the URL of a backend that cannot be opened, or not by so many agents. A file that is
    not there yet is not made.

    Raises:
        StorageLostError: a server did not answer.
        SweepError: the URL is of no known kind, or nothing can be opened there.
    """
    # Optuna takes a while to import.
    from detector.sweep.backends.storages import (  # noqa: PLC0415
        file_of,
        refuse_a_file_that_cannot_be_written,
        refuse_so_many_agents,
    )

    file = file_of(url)
    if file is not None:
        refuse_so_many_agents(url, agents)
        refuse_a_file_that_cannot_be_written(url, file)
    if file is None or file.exists():
        open_backend(url)


def open_sweep(url: str, sweep_id: str, patience_seconds: float = SHORT_PATIENCE_S) -> Sweep:
    """A sweep that was created before. A backend that is not there is not made.

    Args:
        patience_seconds: as for `open_backend`.

    Raises:
        StorageLostError: the backend did not answer for so long.
        SweepError: there is no such backend, or no such sweep in it.
    """
    # Optuna takes a while to import.
    from detector.sweep.backends.storages import file_of  # noqa: PLC0415

    file = file_of(url)
    if file is not None and not file.exists():
        raise backend_error(
            f"there is no file {file.absolute()}",
            url,
            "give the --backend that `detsweep sweep init` was given, from the same folder",
        )
    return open_backend(url, patience_seconds=patience_seconds).open(sweep_id)


def open_step_backend(url: str) -> Backend:
    """`open_backend` for a step, for which nobody waits: it has the patience that
    `DETSWEEP_PATIENCE_SECONDS` says."""
    return open_backend(url, patience_seconds=patience_seconds())


@dataclass(frozen=True)
class SweepAddress:
    """Where a sweep is, to be handed to another process.

    Attributes:
        backend: URL, which may hold a password.
        id: of the sweep.
    """

    backend: str = field(repr=False)
    id: str

    def open(self) -> Sweep:
        """The sweep, with the patience of a step.

        Raises:
            SweepError: there is no such sweep, or no such backend.
            StorageLostError: the backend did not answer for so long.
        """
        return open_sweep(self.backend, self.id, patience_seconds())


def serve_proxy(url: str, host: str, port: int, on_ready: Callable[[str], None]) -> None:
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

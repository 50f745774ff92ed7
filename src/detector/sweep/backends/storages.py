"""The Optuna storage at a URL: SQLite, PostgreSQL, a journal file or the gRPC proxy of one."""

import re
from pathlib import Path

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage

from detector.errors import StorageLostError, SweepError
from detector.storage.atomic import what_keeps_from_changing
from detector.sweep.backends.journal import JournalFile
from detector.sweep.backends.patience import cause
from detector.sweep.backends.rows import Database
from detector.sweep.backends.urls import backend_error, not_installed

optuna.logging.set_verbosity(optuna.logging.WARNING)

SQLITE_AGENTS = 8
"""Beyond it agents fail on each other's locks: of 128, 80 did (see docs/sweep-backends.md)."""

AGENT_CONNECTIONS = 2
"""One for the training and one for its heartbeats: a PostgreSQL server allows about 100."""

_SQLITE_TIMEOUT_S = 60
_POSTGRESQL = {
    "connect_timeout": 10,
    # A server whose machine is gone is noticed after this long, where the system waits for hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    # An agent that is frozen within a transaction lets go of its rows, and who waits for them asks
    # again.
    "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=30s",
}


def open_storage(url: str, connections: int = AGENT_CONNECTIONS) -> BaseStorage:
    """The Optuna storage at a URL (see `open_backend`).

    Args:
        connections: the most that are held to a PostgreSQL server at once.

    Raises:
        StorageLostError: no server answers there, for now.
        SweepError: the URL is of no known kind, or nothing can be opened there.
    """
    kind, file = url.partition("://")[0], file_of(url)
    if file is not None:
        refuse_a_file_that_cannot_be_written(url, file)
    try:
        if kind == "journal" and file is not None:
            return _open_journal(file)
        if kind == "sqlite" and file is not None:
            return _open_sqlite(url, file)
        if kind.partition("+")[0] == "postgresql":
            return _open_postgresql(url, connections)
        if kind in ("grpc", "grpcs"):
            return _open_proxy(url)
    except ImportError:
        raise not_installed(url) from None
    except (OSError, sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
        # Not chained: a driver's error may quote the URL, and with it the password.
        raise backend_error(
            f"cannot open the backend: {cause(error)}",
            url,
            "check that it exists and may be written",
            StorageLostError if _may_come_back(error) else SweepError,
        ) from None
    raise backend_error(
        "no backend of this kind",
        url,
        "give sqlite:///FILE, journal:///FILE, postgresql://USER@HOST/DATABASE, grpc://HOST:PORT "
        "or wandb://ENTITY/PROJECT",
    )


def file_of(url: str) -> Path | None:
    """The file of a backend that is one; None for a server.

    >>> file_of("sqlite:///a/b.db").as_posix(), file_of("grpc://host:1")
    ('a/b.db', None)
    """
    kind, _, rest = url.partition("://")
    is_file = kind in ("journal", "sqlite") and len(rest) > 1 and rest.startswith("/")
    return Path(rest[1:]) if is_file else None


def refuse_a_file_that_cannot_be_written(url: str, file: Path) -> None:
    """Refuse a place where no database can be made, which the driver takes for one that is away.

    Raises:
        SweepError: it is one.
    """
    obstacle = what_keeps_from_changing(file)
    if obstacle:
        raise backend_error(obstacle, url, "name another file")


def refuse_so_many_agents(url: str, agents: int) -> None:
    """Refuse more agents than the backend at a URL stands.

    Raises:
        SweepError: there are more.
    """
    most = most_agents(url)
    if most is not None and agents > most:
        raise backend_error(
            f"{agents} agents are asked for, and SQLite stands {most} at once",
            url,
            "keep the trials in journal:///FILE, in postgresql://…, or behind `detsweep sweep "
            "serve` as grpc://HOST:PORT",
        )


def _may_come_back(error: Exception) -> bool:
    """Whether a server is away, starting or full, rather than refusing this user or database."""
    refused = re.search(r"authentication failed|does not exist|no pg_hba.conf", str(error))
    return isinstance(error, sqlalchemy.exc.OperationalError) and refused is None


def most_agents(url: str) -> int | None:
    """How many agents the backend at a URL stands at once; None where it sets no limit."""
    return SQLITE_AGENTS if url.startswith("sqlite:") else None


def _open_journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFile(path))


def _open_sqlite(url: str, path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = Database(
        url,
        engine_kwargs={"connect_args": {"timeout": _SQLITE_TIMEOUT_S, "isolation_level": None}},
    )

    # SQLite has no row locks, so two agents could both read that a trial waits and both take it.
    # Beginning every transaction as a writer puts them in order.
    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def _begin_as_writer(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return optuna.storages.get_storage(storage)


def _open_postgresql(url: str, connections: int) -> BaseStorage:
    if url.partition("?")[0].count("@") > 1:
        # A driver would take the password's end for the host, and print it.
        raise backend_error("the user or the password holds an @", url, "write it as %40")
    # What a bare postgresql:// means changed in SQLAlchemy 2.1; the extra installs this driver.
    url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    storage = Database(
        url,
        engine_kwargs={
            "pool_size": connections,
            "max_overflow": 0,
            "pool_pre_ping": True,
            "connect_args": _POSTGRESQL,
        },
    )
    return optuna.storages.get_storage(storage)


def _open_proxy(url: str) -> BaseStorage:
    # gRPC is an extra.
    from detector.sweep.backends.grpc_proxy import open_proxy  # noqa: PLC0415

    return open_proxy(url)

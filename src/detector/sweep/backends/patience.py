"""What to do about a storage that does not answer: ask again for a while, then say so."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from detector.errors import DetsweepError, StorageLostError
from detector.patience import Patience
from detector.redacting import redact

_STORAGE = "the sweep's storage"

P = ParamSpec("P")
R = TypeVar("R")


def _unanswered() -> tuple[type[Exception], ...]:
    """A journal raises OSError, a full disk included; a database its driver's error or Optuna's;
    the proxy's client, where it is installed, gRPC's."""
    kinds: tuple[type[Exception], ...] = (StorageInternalError, SQLAlchemyError, OSError)
    try:
        import grpc  # noqa: PLC0415
    except ImportError:
        return kinds
    return (*kinds, grpc.RpcError)


UNANSWERED = _unanswered()
"""What a storage raises that is away, is full, or has no room for another connection."""


@dataclass(frozen=True)
class StoragePatience:
    """How long a storage is asked again, and what is done each time that it did not answer.

    Attributes:
        longest_wait: seconds between two questions, at most.
    """

    seconds: float
    longest_wait: float
    on_silence: Callable[[], None]


class Patient(Protocol):
    """What has methods that ask a storage."""

    @property
    def patience(self) -> StoragePatience: ...


S = TypeVar("S", bound=Patient)


def patiently(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Repeat a method while the storage does not answer.

    Each such method has to be safe to repeat, even where the storage had done all of it and only
    the answer was lost.

    Raises:
        StorageLostError: it did not answer for the whole of `StoragePatience.seconds`.
    """

    @functools.wraps(method)
    def patient(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        def question() -> R:
            try:
                return method(self, *args, **kwargs)
            except UNANSWERED:
                self.patience.on_silence()
                raise

        try:
            return _patience(self.patience).ask(question)
        except UNANSWERED as error:
            # Not chained: a driver's error may quote the URL, and with it the password.
            raise _lost(error) from None

    # mypy has a wrapped function for something else than the method that it is.
    return cast(Callable[Concatenate[S, P], R], patient)


def _patience(of: StoragePatience) -> Patience:
    return Patience(
        _STORAGE, lambda error: isinstance(error, UNANSWERED), of.seconds, cause, of.longest_wait
    )


def open_patiently(open_it: Callable[[], R], seconds: float) -> R:
    """What `open_it` returns, once it raises no `StorageLostError` any more.

    Raises:
        StorageLostError: it did for so long.
    """
    return Patience(
        _STORAGE, lambda error: isinstance(error, StorageLostError), seconds, _problem
    ).ask(open_it)


def _problem(error: BaseException) -> str:
    return error.problem if isinstance(error, DetsweepError) else str(error)


def cause(error: BaseException) -> str:
    """What went wrong, in one line and without passwords. Optuna's own text misleads: it blames the
    data whatever happened."""
    if hasattr(error, "code") and hasattr(error, "details"):  # grpc.RpcError of a call
        return redact(f"{error.code().name}: {error.details()}")
    text = str(error.__cause__ or error).strip()
    return redact(text.splitlines()[0] if text else type(error).__name__)


def _lost(error: BaseException) -> StorageLostError:
    return StorageLostError(
        f"the sweep's storage does not answer: {cause(error)}",
        remedy="check that it runs, that its disk is not full and that it has room for more "
        "connections, then start the agent again: trials go on from their last epoch",
    )

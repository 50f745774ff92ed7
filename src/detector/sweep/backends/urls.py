"""The URL of a backend as it may be shown. Whatever is printed of one goes through here."""

import re

from detector.errors import SweepError

KINDS = ("sqlite:///", "journal:///", "postgresql", "grpc://", "wandb://")
"""How the URLs of backends begin; a driver may stand behind `postgresql`."""


def redact(text: str) -> str:
    """A text as it may be printed, without the passwords of the URLs in it.

    >>> redact("postgresql://detsweep:secret@db:5432/sweeps")
    'postgresql://detsweep:***@db:5432/sweeps'
    """
    # To the last @, since a password may hold one.
    hidden = re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", text)
    return re.sub(r"((?:password|passwd|pwd|api_key)\s*=\s*)[^&\s]*", r"\1***", hidden, flags=re.I)


def backend_error(
    problem: str, url: str, remedy: str, kind: type[SweepError] = SweepError
) -> SweepError:
    """An error about the backend at `url`. No password is shown, even if `problem` quotes it."""
    return kind(redact(problem), where=redact(url), remedy=remedy)


def not_installed(url: str) -> SweepError:
    """The error about a backend whose library is an extra."""
    kind = "postgresql" if url.startswith("postgresql") else "grpc"
    return backend_error(
        "the library for this backend is not installed", url, f"pip install 'detsweep[{kind}]'"
    )

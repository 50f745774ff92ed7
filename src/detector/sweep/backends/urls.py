"""The URL of a backend as it may be shown. Whatever is printed of one goes through here."""

from detector.errors import SweepError
from detector.redacting import redact, shown_url

KINDS = ("sqlite:///", "journal:///", "postgresql", "grpc://", "grpcs://", "wandb://")
"""How the URLs of backends begin; a driver may stand behind `postgresql`."""


def backend_error(
    problem: str, url: str, remedy: str, kind: type[SweepError] = SweepError
) -> SweepError:
    """An error about the backend at `url`. No password is shown, even if `problem` quotes it."""
    return kind(redact(problem.replace(url, shown_url(url))), where=shown_url(url), remedy=remedy)


def not_installed(url: str) -> SweepError:
    """The error about a backend whose library is an extra."""
    kind = "postgresql" if url.startswith("postgresql") else "grpc"
    return backend_error(
        "the library for this backend is not installed", url, f"pip install 'detsweep[{kind}]'"
    )

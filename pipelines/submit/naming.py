"""Names of a run: as Kubernetes takes them, and the command that finds its pods by them."""

import hashlib
import re

_LABEL_LENGTH = 63
_NOT_OF_A_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
_MOST_LOGS = 500
"""`kubectl logs --follow` refuses more than 5 pods unless another number is given."""


def as_label(name: str) -> str:
    """`name` as the value of a Kubernetes label, never empty.

    Where that leaves letters out, a few characters of the name's digest keep it apart from others.

    >>> as_label("Receipts, May (2)"), as_label("영수증")
    ('Receipts-May-2', 'sweep-967b7244')
    """
    plain = _NOT_OF_A_LABEL.sub("-", name).strip("-_.")
    loses_letters = any(letter.isalnum() and not letter.isascii() for letter in name)
    if not plain or loses_letters or len(plain) > _LABEL_LENGTH:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        plain = f"{plain[: _LABEL_LENGTH - 9] or 'sweep'}-{digest}"
    return plain[:_LABEL_LENGTH].strip("-_.")


def logs_command(namespace: str, label: str) -> str:
    """What shows the lines of a run's pods, as many as there are."""
    return (
        f"kubectl logs --namespace {namespace} --selector detsweep.io/sweep={label} "
        f"--prefix --follow --max-log-requests {_MOST_LOGS}"
    )

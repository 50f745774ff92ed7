"""Texts as they may be printed and kept: without passwords. Every error and every line of progress
goes through here."""

import re

_AFTER_SCHEME = re.compile(r"(?<=://)([^\s/@:]*):\S*@")
"""To the last @, since a password may hold one."""
_NAMED = re.compile(r"((?:password|passwd|pwd|api_key)\s*=\s*)[^&\s]+", re.IGNORECASE)


def redact(text: str) -> str:
    """A text without the passwords of the URLs in it.

    >>> redact("no answer: postgresql://detsweep:secret@db:5432/sweeps?password=secret")
    'no answer: postgresql://detsweep:***@db:5432/sweeps?password=***'
    """
    return _NAMED.sub(r"\1***", _AFTER_SCHEME.sub(r"\1:***@", text))


def shown_url(url: str) -> str:
    """A URL that a person gave, which may be no valid one, without its password.

    >>> shown_url("postgresql:/me:my secret@db/sweeps"), shown_url("grpc://proxy:13000")
    ('***@db/sweeps', 'grpc://proxy:13000')
    """
    hidden = redact(re.sub(r"\s", "%20", url))
    # Of what has no form of a URL, whatever stands before its @.
    return hidden if "://" in hidden else re.sub(r"^.*:.*@", "***@", hidden)


def has_password(url: str) -> bool:
    """Whether a URL holds a password.

    >>> has_password("postgresql://me:secret@db/sweeps"), has_password("postgresql://me@db:5432/x")
    (True, False)
    """
    return shown_url(url) != re.sub(r"\s", "%20", url)

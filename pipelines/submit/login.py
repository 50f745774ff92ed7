"""Who a person is to a Kubeflow that asks: a bearer token or a browser's cookies.

Both may end before a run does. Where a new one comes from can be said: a file that something keeps
up to date, or a command that prints one.
"""

import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp.client.token_credentials_base import TokenCredentialsBase

from pipelines.submit.errors import NotSignedInError

TOKEN = "DETSWEEP_KFP_TOKEN"
TOKEN_FILE = "DETSWEEP_KFP_TOKEN_FILE"
TOKEN_COMMAND = "DETSWEEP_KFP_TOKEN_COMMAND"
COOKIES = "DETSWEEP_KFP_COOKIES"
COOKIES_FILE = "DETSWEEP_KFP_COOKIES_FILE"

REMEDY = (
    f"put a token into {TOKEN}, or the browser's cookies into {COOKIES}. Where it ends before the "
    f"run does, name what has a new one: {TOKEN_FILE}, {TOKEN_COMMAND} (a command that prints "
    f"one) or {COOKIES_FILE}"
)

_COMMAND_S = 60
_IN_A_NOTEBOOK = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubeflow keeps a token of a notebook's pod up to date."""


@dataclass
class Login(TokenCredentialsBase):
    """A token or cookies, got again from where they came from when they have ended.

    Attributes:
        environ: has the settings that are named above.
    """

    environ: Mapping[str, str]
    _printed: str | None = None

    @classmethod
    def of_environment(cls) -> "Login":
        """The credentials that the environment names."""
        return cls(os.environ)

    @property
    def has_token(self) -> bool:
        """Whether there is a token, or a file of one."""
        return self._file("token") is not None or any(
            self.environ.get(name) for name in (TOKEN, TOKEN_COMMAND)
        )

    def token(self) -> str | None:
        """The token for the next request.

        Raises:
            NotSignedInError: its file or its command has none.
        """
        if given := self.environ.get(TOKEN):
            return given.strip()
        if file := self._file("token"):
            return _read(file)
        if command := self.environ.get(TOKEN_COMMAND):
            self._printed = self._printed or _output(command)
            return self._printed
        return None

    def cookies(self) -> str | None:
        """The cookies for the next request.

        Raises:
            NotSignedInError: their file can't be read.
        """
        if given := self.environ.get(COOKIES):
            return given.strip()
        file = self._file("cookies")
        return _read(file) if file else None

    def renew(self) -> bool:
        """Forget what is not taken any more; whether there may be another by now."""
        self._printed = None
        fixed = self.environ.get(TOKEN) or self.environ.get(COOKIES)
        sources = (self._file("token"), self._file("cookies"), self.environ.get(TOKEN_COMMAND))
        return not fixed and any(sources)

    def refresh_api_key_hook(self, config: Any) -> None:
        """kfp's client calls this before each request."""
        if token := self.token():
            config.api_key["authorization"] = token
            config.api_key_prefix["authorization"] = "Bearer"

    def _file(self, kind: str) -> Path | None:
        named = self.environ.get(TOKEN_FILE if kind == "token" else COOKIES_FILE)
        if named:
            return Path(named)
        return _IN_A_NOTEBOOK if kind == "token" and _IN_A_NOTEBOOK.exists() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NotSignedInError(
            f"cannot be read: {error.strerror}",
            where=str(file),
            remedy="check the path and who may read it",
        ) from error


def _output(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            encoding="utf-8",
            timeout=_COMMAND_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"exit code {error.returncode}"
        raise _no_token(f"it printed no token: {reason}") from error
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise _no_token(f"it can't be run: {error}") from error
    if not done.stdout.strip():
        raise _no_token("it printed nothing")
    return done.stdout.strip()


def _no_token(problem: str) -> NotSignedInError:
    return NotSignedInError(
        problem,
        where=TOKEN_COMMAND,
        remedy="name a command that prints a token and nothing else; try it in this shell first",
    )

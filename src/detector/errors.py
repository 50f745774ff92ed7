"""The errors a person can meet. Each says what is wrong, where, and what to do about it."""

import difflib
from collections.abc import Collection

from detector.redacting import redact


class DetsweepError(Exception):
    """Base of every error that is the user's to mend; printed without a traceback. It quotes no
    password of a URL.

    Args:
        problem: what is wrong, naming the value that was found.
        where: the file, line or key it was found in.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, *, where: str | None = None, remedy: str | None = None):
        self.problem = redact(problem)
        self.where = None if where is None else redact(where)
        self.remedy = None if remedy is None else redact(remedy)
        super().__init__(self._text())

    def _text(self) -> str:
        located = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{located}\n  → {self.remedy}" if self.remedy else located


class PreemptedError(DetsweepError):
    """The process was asked to end by SIGTERM. Started again, it goes on where it was."""

    def __init__(self, problem: str, *, where: str | None = None, remedy: str | None = None):
        again = "run it again: it continues from what it had finished"
        super().__init__(problem, where=where, remedy=remedy or again)


class ConfigError(DetsweepError):
    """A preset, an override or a stored configuration is not valid."""


class DataError(DetsweepError):
    """An image, an annotation or a data set cannot be used as it is."""


class SweepError(DetsweepError):
    """A sweep file, a sweep id or a sweep backend is not valid."""


class StorageLostError(SweepError):
    """A sweep's storage did not answer for a long while. No trial is to blame."""


class TrainingError(DetsweepError):
    """A training run ended without a usable result."""


class StoreError(DetsweepError):
    """The run store cannot be read or written."""


class StoreLostError(StoreError):
    """The run store did not answer for a long while, or was full. No trial is to blame."""


class ModelError(DetsweepError):
    """A model's weights, or the maps that it draws, hold numbers that are not finite."""


class ExportError(DetsweepError):
    """A model cannot be exported, or the exported model does not agree with its source."""


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A hint for the end of a problem, empty where nothing known is near.

    >>> did_you_mean("maximise", ["minimize", "maximize"]), did_you_mean("x", ["maximize"])
    ("; did you mean 'maximize'?", '')
    """
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""

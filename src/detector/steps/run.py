"""A run: what the steps leave for each other in the run store, as typed values."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from detector.choosing.pages import PAGES, KeptEpoch, PageScores
from detector.choosing.ranking import Choice
from detector.config import Config, config_from_tree
from detector.data.folds import Folds, Manifest, open_folds
from detector.data.source import fetch
from detector.errors import StoreError
from detector.storage.run_store import RunStore
from detector.sweep.trial import Hold, TrialRecord

CONFIG = "config.yaml"
CHECK = "check.json"
MANIFEST = "folds.json"
SWEEP = "sweep.json"


@dataclass(frozen=True)
class Best:
    """The sweep's best trial.

    Attributes:
        trial: its number.
        params: the values it drew, by configuration key.
        metric: what the sweep went by, and `value` what the weights that are kept reach; the best
            of the trial's epochs where no weights are.
        epoch: the epoch of that value, from 1.
        overrides: `params` as words for the command line.
        low, high: the 95 % interval of `value`, None where none could be drawn.
        reasons: why this trial, in sentences.
    """

    trial: int
    params: dict[str, Any]
    metric: str
    value: float
    epoch: int
    overrides: list[str]
    low: float | None = None
    high: float | None = None
    reasons: list[str] = field(default_factory=list)

    def to_yaml(self) -> str:
        return yaml.safe_dump(asdict(self), sort_keys=False, allow_unicode=True)


class Run:
    """One run's files, below one URL."""

    def __init__(self, store_url: str, patience_s: float | None = None):
        self.store = RunStore(store_url, patience_s)

    def config(self) -> Config:
        """The configuration that the run goes by; a trial changes some of its keys."""
        return config_from_tree(yaml.safe_load(self._read(CONFIG, "prepare")))

    def manifest(self) -> Manifest:
        return Manifest.from_json(self._read(MANIFEST, "prepare").decode())

    def folds(self) -> Folds:
        """The data set, fetched and found to be the one that the folds were made from."""
        config = self.config()
        return open_folds(fetch(config.data.path), self.manifest(), config.data.group_column)

    def sweep(self) -> dict[str, str] | None:
        """The id and the digest of the run's sweep, None before there is one."""
        return json.loads(self.store.read(SWEEP)) if self.store.exists(SWEEP) else None

    def sweep_yaml(self, sweep_id: str) -> str:
        return self._read(f"sweeps/{sweep_id}/sweep.yaml", "sweep_init").decode()

    def best(self, sweep_id: str) -> Best:
        return Best(**yaml.safe_load(self._read(f"sweeps/{sweep_id}/best.yaml", "select")))

    def selected(self, sweep_id: str) -> Best | None:
        """What `select` chose, None before it has."""
        return self.best(sweep_id) if self.store.exists(f"sweeps/{sweep_id}/best.yaml") else None

    def config_of(self, sweep_id: str) -> Config | None:
        """The configuration that the sweep's trials begin from; None where the store is not this
        sweep's, or the sweep trains no detector."""
        sweep = self.sweep()
        is_its_own = sweep is not None and sweep["id"] == sweep_id and self.store.exists(CONFIG)
        return self.config() if is_its_own else None

    def trials(self, sweep_id: str) -> list[TrialRecord]:
        """The trials as they stood when the best of them was chosen."""
        rows = json.loads(self._read(f"sweeps/{sweep_id}/trials.json", "select"))
        return [_as_trial(row) for row in rows]

    def rungs(self, sweep_id: str) -> list[int]:
        """After how many epochs trials were compared."""
        rungs: list[int] = json.loads(self._read(f"sweeps/{sweep_id}/rungs.json", "select"))
        return rungs

    def choice(self, sweep_id: str) -> Choice | None:
        """Why the best trial was chosen; None where trials could not be compared by page."""
        key = f"sweeps/{sweep_id}/choice.json"
        return Choice.from_json(self.store.read(key).decode()) if self.store.exists(key) else None

    def has_pages(self, training: str) -> bool:
        """Whether the training below a key has left its counts by page."""
        return self.store.exists(f"{training}/{PAGES}")

    def pages(self, training: str) -> PageScores:
        """The counts by page of the weights that the training below a key keeps."""
        return self.kept(training).pages

    def kept(self, training: str) -> KeptEpoch:
        """The epoch that the training below a key keeps."""
        key = f"{training}/{PAGES}"
        return KeptEpoch.from_json(self.store.read(key).decode(), self.store.url(key))

    def _read(self, key: str, step: str) -> bytes:
        if not self.store.exists(key):
            raise StoreError(
                "this file is missing",
                where=self.store.url(key),
                remedy=f"the step `{step}` writes it: run it first, or check the store's URL",
            )
        return self.store.read(key)


def _as_trial(row: Mapping[str, Any]) -> TrialRecord:
    curve = {int(epoch): value for epoch, value in row["curve"].items()}
    holds = [Hold(**hold) for hold in row["holds"]]
    return TrialRecord(**{**row, "curve": curve, "holds": holds})


def trial_key(sweep_id: str, trial: int) -> str:
    return f"sweeps/{sweep_id}/trials/{trial}"


def rescored_key(sweep_id: str, trial: int, fold: int) -> str:
    """Where a trial's configuration is trained without another fold than the sweep's."""
    return f"sweeps/{sweep_id}/rescored/{trial}/{fold}"


def fold_key(fold: int) -> str:
    return f"folds/{fold}"

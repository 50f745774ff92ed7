"""Which epoch's weights a training keeps."""

from typing import Any

from detector.choosing.bootstrap import difference
from detector.choosing.pages import KeptEpoch

MOST_LOST = 0.01
"""However few the pages, what is kept is no more than this below the best H-Mean."""


class EpochChoice:
    """Keeps the latest epoch whose distance to the best H-Mean is within noise.

    The highest of many noisy scores was lucky, too. Where the pages show no difference, the later
    weights are the better ones: they are averaged over steps at a lower rate, and their outlines
    are tighter, which CLEval barely measures.

    Attributes:
        kept: the epoch, from 1; 0 before there is one.
    """

    def __init__(self) -> None:
        self.kept = 0
        self._best: KeptEpoch | None = None

    def offer(self, epoch: KeptEpoch) -> bool:
        """Whether to keep this epoch, the latest, in place of the one before."""
        if self._best is None or epoch.hmean > self._best.hmean:
            self._best = epoch
        elif not _as_good(epoch, self._best):
            return False
        self.kept = epoch.epoch
        return True

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return {"kept": self.kept, "best": self._best.to_json() if self._best else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.kept = state["kept"]
        self._best = KeptEpoch.from_json(state["best"]) if state["best"] else None


def _as_good(epoch: KeptEpoch, best: KeptEpoch) -> bool:
    lost = difference(best.pages, epoch.pages)
    return lost.value <= MOST_LOST and lost.contains_zero

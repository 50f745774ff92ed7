"""W&B's early termination, exactly: which bands there are, and when a trial is stopped at one.

W&B calls it hyperband after Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to
Hyperparameter Optimization", but there are no brackets: every trial is compared with all trials at
each band that it passes, as in successive halving. The rules are those of the engine `sweeps`
0.3.0 (`hyperband_stop_runs`).

An iteration is one finite value of the metric. An epoch whose metric is NaN or missing is none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Goal = Literal["minimize", "maximize"]

_MOST_BANDS = 100
_LAST_BAND = 2**53
"""Beyond any training, and the largest whole number that a float holds exactly."""


@dataclass(frozen=True)
class Hyperband:
    """The setting of `early_terminate`.

    Attributes:
        min_iter: iterations before the first band; later bands are `eta` times apart.
        max_iter: iterations of a whole trial. With `s`, the number of bands, it counts bands
            downward, and wins over `min_iter`.
        strict: True judges a trial by its value at the band, False by its best value so far.
    """

    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None
    eta: float = 3
    strict: bool = True

    def bands(self) -> list[int]:
        """The iterations at which trials are compared, rising.

        >>> Hyperband(min_iter=5).bands()[:3]
        [5, 15, 45]
        >>> Hyperband(max_iter=20, s=2).bands()
        [2, 6]
        """
        if self.max_iter is not None and self.s is not None:
            return self._bands_below_max_iter(self.max_iter, self.s)
        bands: list[int] = []
        band = float(self.min_iter or 1)
        while len(bands) < _MOST_BANDS and band < _LAST_BAND:
            bands.append(int(band))
            band *= self.eta
        return bands

    def _bands_below_max_iter(self, max_iter: int, s: int) -> list[int]:
        bands: list[int] = []
        band = float(max_iter)
        for _ in range(s):
            band /= self.eta
            if band < 1:
                break
            bands.append(int(band))
        return sorted(bands)

    def should_stop(
        self, history: Sequence[float], all_histories: Sequence[Sequence[float]], goal: Goal
    ) -> bool:
        """Whether a trial ends here. Asked again after every iteration, it compares the trial at
        the last band that it passed with all that have passed it by now: a trial that passed a
        band can still be stopped there later, when better ones have.

        Args:
            history: the trial's values, one for each iteration.
            all_histories: those of every trial of the sweep, this one included, whatever became
                of it.
        """
        passed = [band for band in self.bands() if band <= len(history)]
        if not passed:
            return False
        band = passed[-1]
        sign = -1 if goal == "maximize" else 1
        at_band = sorted(sign * other[band - 1] for other in all_histories if len(other) >= band)
        # Not int(n / eta), which rounds otherwise where 1 / eta is not exact.
        threshold = at_band[int(1.0 / self.eta * len(at_band))]
        judged = sign * history[band - 1] if self.strict else min(sign * v for v in history)
        return judged > threshold


def finite_values(curve: Mapping[int, float]) -> list[float]:
    """The iterations of a learning curve, in the order of its epochs."""
    return [value for _, value in sorted(curve.items()) if math.isfinite(value)]

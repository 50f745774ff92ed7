"""How well one model found the text of some pages, as a row of a table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreRow:
    """How well one model found the text of some pages; scores from 0 to 1, None if not measured.

    Attributes:
        name: of the model: "fold 2", "mean of maps".
        pages: how many it was measured on.
        recall, precision, hmean: CLEval over all pages together.
        hmean_pages: the mean of the pages' own H-Means.
        iou_hmean: H-Mean of the plain IoU matching.
        ms_per_page: duration of one page, milliseconds; where it was measured several times, the
            median of them.
        ms_low, ms_high: the shortest and the longest of these times.
        low, high: the 95 % interval of `hmean`.
        megabytes: of the model's file.
        parity: largest difference of its probability map to that of torch, or where it has fewer
            bits, to that of the float32 file.
    """

    name: str
    pages: int
    recall: float | None
    precision: float | None
    hmean: float | None
    hmean_pages: float | None
    iou_hmean: float | None
    ms_per_page: float | None
    low: float | None = None
    high: float | None = None
    megabytes: float | None = None
    parity: float | None = None
    ms_low: float | None = None
    ms_high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """`low` and `high`, None where either is missing."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def timing(self) -> tuple[float, float, float] | None:
        """`ms_per_page`, `ms_low` and `ms_high`; None where it was not measured."""
        if self.ms_per_page is None:
            return None
        low, high = self.ms_low or self.ms_per_page, self.ms_high or self.ms_per_page
        return self.ms_per_page, low, high

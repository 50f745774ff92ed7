"""From the outlines of a page to its counts: the metric's steps, in order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.evaluation.cleval.characters import false_positive_chars, place_characters
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore
from detector.evaluation.cleval.matching import match
from detector.evaluation.cleval.pairs import relate
from detector.geometry.outlines import Outlines


@dataclass(frozen=True)
class CLEvalOptions:
    """The constants of CLEval; scores with others than these defaults are not comparable.

    Attributes:
        area_precision: least AP of a match.
        recall_granularity: characters lost for each cut of a ground truth.
        precision_granularity: characters lost for each merge of two ground truths.
        vertical_aspect: width / height below which text is read from bottom edge to top edge.
    """

    area_precision: float = 0.3
    recall_granularity: float = 1.0
    precision_granularity: float = 1.0
    vertical_aspect: float = 0.5


OFFICIAL = CLEvalOptions()


def evaluate_pages(
    pages: Iterable[tuple[Sequence[TextBox], Sequence[NDArray[Any]]]],
    options: CLEvalOptions = OFFICIAL,
) -> DatasetScore:
    """Score pages given as pairs of (truth, predictions); see `evaluate_page`."""
    return DatasetScore(
        tuple(evaluate_page(truth, predictions, options) for truth, predictions in pages)
    )


def evaluate_page(
    truth: Sequence[TextBox],
    predictions: Sequence[NDArray[Any]],
    options: CLEvalOptions = OFFICIAL,
) -> CLEvalCounts:
    """Count what CLEval counts on one page.

    Args:
        truth: the page's text boxes, don't-cares included.
        predictions: (V, 2) outlines in the same pixels, V >= 3.
        options: the metric's constants.

    Raises:
        DataError: an outline with fewer than 3 points or a coordinate that is not finite.

    >>> word = np.array([[0, 0], [80, 0], [80, 20], [0, 20]])
    >>> evaluate_page([TextBox(word, "word")], [word]).hmean
    1.0
    >>> left_half = word // [2, 1]
    >>> evaluate_page([TextBox(word, "word")], [left_half]).recall
    0.5
    """
    gt = Outlines.pack([box.points for box in truth], "ground truth")
    det = Outlines.pack(predictions, "prediction")
    ignored = np.array([box.ignore for box in truth], dtype=np.bool_)
    characters = place_characters(truth, gt, options.vertical_aspect)
    pairs, findings = relate(gt, det, characters, ignored)
    matches = match(
        pairs, findings, ignored, len(det), len(characters.centres), options.area_precision
    )
    unmatched = np.flatnonzero(matches.valid & (matches.of_det == 0))
    fp_chars = false_positive_chars(det, unmatched)
    return CLEvalCounts(
        gt_chars=int(characters.lengths[~ignored].sum()),
        det_chars=int(matches.of_character.sum()) + fp_chars,
        tp_chars=int(np.count_nonzero(matches.of_character)),
        fp_chars=fp_chars,
        recall_penalty=_beyond_first(matches.of_gt) * options.recall_granularity,
        precision_penalty=_beyond_first(matches.of_det) * options.precision_granularity,
        repeated_chars=_beyond_first(matches.of_character),
        split_boxes=int(np.count_nonzero(matches.of_gt > 1)),
        merged_boxes=int(np.count_nonzero(matches.of_det > 1)),
    )


def _beyond_first(times: NDArray[np.int64]) -> int:
    return int(times.sum() - np.count_nonzero(times))

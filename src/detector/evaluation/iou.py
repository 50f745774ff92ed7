"""Plain IoU matching: how many boxes were found, one prediction to one ground truth.

The scheme of the ICDAR 2015 incidental text evaluation (Karatzas et al. 2015, section IV): a
prediction that lies by more than half on a don't-care is dropped, don't-cares count in no total,
and a match needs IoU of at least the threshold. Where several pairings are possible the pairs of
highest IoU are taken first, so that the order of the predictions does not matter. It does not know
split or merged words; `detector.evaluation.cleval` does.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.evaluation.iou_counts import IoUCounts
from detector.geometry.outlines import Outlines, meetings, regions

_DONT_CARE_OVERLAP = 0.5


def evaluate_iou(
    truth: Sequence[TextBox], predictions: Sequence[NDArray[Any]], threshold: float = 0.5
) -> IoUCounts:
    """Match the predictions of one page to its text boxes.

    Args:
        truth: the page's text boxes, don't-cares included.
        predictions: (V, 2) outlines in the same pixels, V >= 3.
        threshold: least IoU of a match, in (0, 1].

    Raises:
        DataError: an outline with fewer than 3 points or a coordinate that is not finite.

    >>> box = np.array([[0, 0], [8, 0], [8, 2], [0, 2]])
    >>> evaluate_iou([TextBox(box)], [box + [1, 0], box + [20, 0]])
    IoUCounts(truths=1, predictions=2, matched=1)
    """
    gt = regions(Outlines.pack([box.points for box in truth], "ground truth"))
    det = regions(Outlines.pack(predictions, "prediction"))
    ignored = np.array([box.ignore for box in truth], dtype=bool)
    det = det[~_on_dont_care(det, gt[ignored])]
    cared = gt[~ignored]
    return IoUCounts(len(cared), len(det), _count_pairs(cared, det, threshold))


def _on_dont_care(det: NDArray[np.object_], dont_care: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Predictions that lie by more than half on one don't-care."""
    met = meetings(det, dont_care)
    mostly = met.shared > _DONT_CARE_OVERLAP * shapely.area(det[met.i])
    dropped = np.zeros(len(det), dtype=bool)
    dropped[met.i[mostly]] = True
    return dropped


def _count_pairs(gt: NDArray[np.object_], det: NDArray[np.object_], threshold: float) -> int:
    """Pairs of IoU >= threshold, taken by falling IoU, each outline in one pair at most."""
    met = meetings(det, gt)
    d, g, iou = met.i, met.j, met.iou()
    taken_gt: set[int] = set()
    taken_det: set[int] = set()
    for pair in np.lexsort((d, g, -iou)):
        if iou[pair] < threshold:
            break
        if g[pair] not in taken_gt and d[pair] not in taken_det:
            taken_gt.add(int(g[pair]))
            taken_det.add(int(d[pair]))
    return len(taken_gt)

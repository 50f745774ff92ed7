"""Which predictions count, and which ground truth each of them is for."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.compiled import kernel
from detector.evaluation.cleval.pairs import Findings, Pairs


class Matches(NamedTuple):
    """How often each thing was matched, or found by a match.

    Attributes:
        valid: (D,) the predictions that count, since they do not lie on don't-cares.
        of_gt: (G,) the predictions that match each ground truth.
        of_det: (D,) the ground truths that each prediction matches.
        of_character: (C,) the matches that find each character.
    """

    valid: NDArray[np.bool_]
    of_gt: NDArray[np.int64]
    of_det: NDArray[np.int64]
    of_character: NDArray[np.int64]


@kernel()
def match(
    pairs: Pairs,
    findings: Findings,
    ignored: NDArray[np.bool_],
    predictions: int,
    characters: int,
    constraint: float,
) -> Matches:
    """Match predictions to ground truths.

    Args:
        pairs: what may match.
        findings: the characters that each pair finds.
        ignored: (G,) which ground truths are don't-cares.
        predictions, characters: how many there are.
        constraint: least area precision of a match.
    """
    valid = _valid_predictions(pairs, ignored, predictions, constraint)
    matched = _matched_pairs(pairs, ignored, valid, constraint)
    of_gt = np.zeros(len(ignored), np.int64)
    of_det = np.zeros(predictions, np.int64)
    of_character = np.zeros(characters, np.int64)
    for pair in range(len(matched)):
        of_gt[pairs.g[pair]] += matched[pair]
        of_det[pairs.d[pair]] += matched[pair]
    for finding in range(len(findings.pair)):
        of_character[findings.character[finding]] += matched[findings.pair[finding]]
    return Matches(valid, of_gt, of_det, of_character)


@kernel()
def _valid_predictions(
    pairs: Pairs, ignored: NDArray[np.bool_], predictions: int, constraint: float
) -> NDArray[np.bool_]:
    """The predictions (D,) that do not lie on don't-cares."""
    least = np.float32(constraint)
    valid = np.ones(predictions, np.bool_)
    covered = np.zeros(predictions, np.float32)
    for pair in range(len(pairs.g)):
        g, d = pairs.g[pair], pairs.d[pair]
        if ignored[g]:
            if pairs.hits[pair] > 0:
                covered[d] += pairs.area_precision[pair]
            if pairs.area_precision[pair] >= least or covered[d] >= least:
                valid[d] = False
    return valid


@kernel()
def _matched_pairs(
    pairs: Pairs, ignored: NDArray[np.bool_], valid: NDArray[np.bool_], constraint: float
) -> NDArray[np.bool_]:
    """Which pairs match (P,): one to one, one word to its pieces, or several words to a merge."""
    least = np.float32(constraint)
    live = valid[pairs.d] & ~ignored[pairs.g]
    hit = pairs.hits > 0
    candidate = hit & (pairs.area_precision >= least)
    # Don't-cares and dropped predictions do not match, but they compete.
    rivals_of_gt = np.zeros(len(ignored), np.int64)
    rivals_of_det = np.zeros(len(valid), np.int64)
    pieces = np.zeros(len(ignored), np.int64)
    words = np.zeros(len(valid), np.int64)
    covered = np.zeros(len(valid))
    for pair in range(len(live)):
        g, d = pairs.g[pair], pairs.d[pair]
        if candidate[pair]:
            rivals_of_gt[g] += 1
            rivals_of_det[d] += 1
            pieces[g] += live[pair]
        if live[pair] and hit[pair]:
            words[d] += 1
            covered[d] += pairs.area_precision[pair]
    matched = np.empty(len(live), np.bool_)
    for pair in range(len(live)):
        g, d = pairs.g[pair], pairs.d[pair]
        one_to_one = candidate[pair] and rivals_of_gt[g] == 1 and rivals_of_det[d] == 1
        one_to_many = candidate[pair] and pieces[g] >= 2
        many_to_one = hit[pair] and words[d] >= 2 and covered[d] >= constraint
        matched[pair] = live[pair] and (one_to_one or one_to_many or many_to_one)
    return matched

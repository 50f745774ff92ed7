"""CLEval: the counts of the authors' release on its own cases, and the properties of the metric."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.data.page import TextBox
from detector.errors import DataError
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore
from detector.evaluation.cleval.evaluate import CLEvalOptions, evaluate_page, evaluate_pages
from tests.shapes import rectangle

# Produced once by the authors' release 0.1.1 (detection only, quads). Of the crooked ones a third
# are not convex or cross themselves.
VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
CROOKED = json.loads((Path(__file__).parent / "crooked_vectors.json").read_text(encoding="utf-8"))
FIELDS = {
    "num_char_gt": "gt_chars",
    "num_char_det": "det_chars",
    "num_char_tp_recall": "tp_chars",
    "num_char_tp_precision": "tp_chars",
    "num_char_fp": "fp_chars",
    "gran_score_recall": "recall_penalty",
    "gran_score_precision": "precision_penalty",
    "num_splitted": "split_boxes",
    "num_merged": "merged_boxes",
    "num_char_overlapped": "repeated_chars",
    "recall": "recall",
    "precision": "precision",
    "hmean": "hmean",
}


LabelledFinds = tuple[list[TextBox], list[NDArray[Any]]]
"""A page's boxes, and what was predicted on it."""


def page_of(vector: dict[str, Any]) -> LabelledFinds:
    truth = [
        TextBox(np.reshape(box["points"], (-1, 2)), box["text"], box["dont_care"])
        for box in vector["gt"]
    ]
    return truth, [np.reshape(points, (-1, 2)) for points in vector["det"]]


def options_of(vector: dict[str, Any]) -> CLEvalOptions:
    options = vector["options"]
    return CLEvalOptions(
        area_precision=options["ap_constraint"],
        recall_granularity=options["recall_gran_penalty"],
        precision_granularity=options["precision_gran_penalty"],
        vertical_aspect=options["vertical_aspect_ratio_thresh"],
    )


def assert_equals(score: object, expected: dict[str, Any]) -> None:
    actual = {name: getattr(score, field) for name, field in FIELDS.items()}
    assert actual == pytest.approx({name: expected[name] for name in FIELDS}, abs=1e-6)


def ellipse(points: int, width: float, height: float) -> NDArray[Any]:
    angles = np.arange(points) * 2 * math.pi / points
    around = np.stack([width * np.cos(angles), height * np.sin(angles)], axis=1)
    return np.asarray(100 + around)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_counts_and_scores_are_the_release_s(vector: dict[str, Any]) -> None:
    assert_equals(evaluate_page(*page_of(vector), options_of(vector)), vector["expected"])


@pytest.mark.parametrize("vector", CROOKED)
def test_crooked_quads_count_as_in_the_release(vector: dict[str, Any]) -> None:
    truth = [TextBox(np.array(b["points"]), b["text"], b["ignore"]) for b in vector["truth"]]
    predictions = [np.array(points) for points in vector["predictions"]]
    assert evaluate_page(truth, predictions) == CLEvalCounts(**vector["expected"])


def test_data_set_scores_sum_the_counts_before_the_formulas() -> None:
    pages = [page_of(v) for v in VECTORS["vectors"] if options_of(v) == CLEvalOptions()]
    score = evaluate_pages(pages)
    assert_equals(score.counts, VECTORS["dataset_expected"])
    micro = (score.recall, score.precision, score.hmean)
    expected = [VECTORS["dataset_expected"][name] for name in ("recall", "precision", "hmean")]
    assert micro == pytest.approx(expected, abs=1e-6)


def test_hmean_pages_is_the_mean_of_the_pages_in_their_order() -> None:
    word = rectangle(10, 10, 60, 20)
    score = evaluate_pages([([TextBox(word, "word")], [word]), ([TextBox(word, "word")], [])])
    assert [page.hmean for page in score.pages] == [1.0, 0.0]
    assert score.hmean_pages == 0.5
    assert score.hmean == pytest.approx(2 / 3)


def test_no_pages_score_zero() -> None:
    assert evaluate_pages([]) == DatasetScore(())
    assert DatasetScore(()).hmean_pages == DatasetScore(()).hmean == 0.0


# --- What the release leaves open ---------------------------------------------------------------


def test_box_without_transcription_has_the_pseudo_length_of_its_aspect_ratio() -> None:
    word = rectangle(0, 0, 60, 20)
    assert evaluate_page([TextBox(word, None)], []).gt_chars == 3
    assert evaluate_page([TextBox(rectangle(0, 0, 20, 60), None)], []).gt_chars == 3
    assert evaluate_page([TextBox(rectangle(0, 0, 900, 20), None)], []).gt_chars == 10


def test_empty_transcription_has_no_characters_and_its_prediction_is_a_false_positive() -> None:
    word = rectangle(0, 0, 60, 20)
    counts = evaluate_page([TextBox(word, "")], [word])
    assert (counts.gt_chars, counts.tp_chars, counts.fp_chars) == (0, 0, 1)


def quad_as_polygon(quad: NDArray[Any], extra: int) -> NDArray[Any]:
    """The quad with `extra` more points on its top and on its bottom."""
    share = np.linspace(0, 1, extra + 2)[:, None]
    top = quad[0] + (quad[1] - quad[0]) * share
    bottom = quad[2] + (quad[3] - quad[2]) * share
    return np.concatenate([top, bottom])


@pytest.mark.parametrize("extra", [1, 2, 5])
@pytest.mark.parametrize("quad", [rectangle(8, 8, 96, 24), rectangle(8, 8, 24, 96)])
def test_polygon_that_traces_a_quad_scores_as_the_quad(quad: NDArray[Any], extra: int) -> None:
    predictions = [
        rectangle(8, 8, 50, 24),
        rectangle(60, 8, 50, 24),
        rectangle(8, 60, 24, 50),
        rectangle(300, 8, 8, 60),
    ]
    for text in ("abcdefghi", None):
        of_quad = evaluate_page([TextBox(quad, text)], predictions)
        polygon = quad_as_polygon(quad, extra)
        assert evaluate_page([TextBox(polygon, text)], predictions) == of_quad
        traced = [quad_as_polygon(points, extra) for points in predictions]
        assert evaluate_page([TextBox(quad, text)], traced) == of_quad


def test_characters_of_a_curved_word_lie_on_its_centre_line() -> None:
    angles = np.linspace(math.pi, 2 * math.pi, 13)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    arch = 200 + np.concatenate([120 * around, 80 * around[::-1]])
    counts = evaluate_page([TextBox(arch, "a" * 12)], [arch])
    assert (counts.tp_chars, counts.gt_chars, counts.hmean) == (12, 12, 1.0)
    # The straight line between the ends would leave the arch.
    left_half = shapely.box(0, 0, 200, 200).intersection(shapely.Polygon(arch))
    left = shapely.get_coordinates(left_half)[:-1]
    assert evaluate_page([TextBox(arch, "a" * 12)], [left]).tp_chars == 6


def test_triangles_count() -> None:
    triangle = np.array([[0.0, 0], [60, 10], [0, 20]])
    assert evaluate_page([TextBox(triangle, "abc")], [triangle]).hmean == 1.0


def test_false_positive_polygon_is_charged_by_its_rectangle_whatever_its_first_vertex() -> None:
    tall = ellipse(12, 10, 60)
    charged = {evaluate_page([], [np.roll(tall, k, axis=0)]).fp_chars for k in range(12)}
    assert charged == {6}


def test_prediction_that_crosses_itself_encloses_what_even_odd_says() -> None:
    bow_tie = np.array([[0.0, 0], [40, 20], [40, 10], [0, 20]])
    left_lobe = np.array([[0.0, 0], [26, 13], [0, 20], [0, 10]])
    counts = evaluate_page([TextBox(left_lobe, "a")], [bow_tie])
    assert (counts.tp_chars, counts.fp_chars) == (1, 0)


def test_prediction_whose_loops_cancel_out_has_no_area_and_matches_nothing() -> None:
    bow_tie = np.array([[0.0, 0], [40, 20], [40, 0], [0, 20]])
    counts = evaluate_page([TextBox(bow_tie, "a")], [bow_tie])
    assert counts.tp_chars == 0 < counts.fp_chars


def test_dont_care_under_text_drops_only_what_lies_beside_the_text() -> None:
    word, around = rectangle(100, 100, 60, 20), rectangle(90, 90, 200, 40)
    truth = [TextBox(word, "word"), TextBox(around, "###", ignore=True)]
    assert evaluate_page(truth, [word]).hmean == 1.0
    beside = rectangle(200, 100, 60, 20)
    counts = evaluate_page(truth, [word, beside])
    assert (counts.hmean, counts.fp_chars) == (1.0, 0)


@pytest.mark.parametrize("points", [np.zeros((2, 2)), np.zeros((4, 3)), np.zeros(8)])
def test_outline_of_a_wrong_shape_is_named(points: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="prediction 1: an outline has shape"):
        evaluate_page([], [rectangle(0, 0, 9, 9), points])


def test_coordinate_that_is_not_finite_is_named() -> None:
    broken = rectangle(0, 0, 9, 9)
    broken[2, 0] = np.nan
    with pytest.raises(DataError, match=r"ground truth 0: .*not finite"):
        evaluate_page([TextBox(broken, "a")], [])


# --- Properties ---------------------------------------------------------------------------------

# Boxes on whole pixels with 2^k characters: all centres are exact, so that moving and scaling
# cannot change on which side of an edge they lie.
boxes = st.builds(rectangle, *[st.integers(0, 300)] * 2, st.integers(8, 120), st.integers(8, 40))
texts = st.sampled_from(["a", "ab", "abcd", "abcdefgh"])
text_boxes = st.builds(TextBox, boxes, texts, st.booleans())
pages = st.tuples(st.lists(text_boxes, max_size=6), st.lists(boxes, max_size=6))


@given(pages, st.randoms())
def test_order_of_boxes_does_not_matter(page: LabelledFinds, random: Random) -> None:
    truth, predictions = page
    shuffled = random.sample(truth, len(truth)), random.sample(predictions, len(predictions))
    assert evaluate_page(*shuffled) == evaluate_page(truth, predictions)


def moved(page: LabelledFinds, move: Callable[[NDArray[Any]], NDArray[Any]]) -> LabelledFinds:
    truth, predictions = page
    return (
        [TextBox(move(box.points), box.text, box.ignore) for box in truth],
        [move(points) for points in predictions],
    )


@given(pages, st.integers(0, 500), st.integers(0, 500))
def test_moving_the_page_by_whole_pixels_changes_nothing(
    page: LabelledFinds, dx: float, dy: float
) -> None:
    assert evaluate_page(*moved(page, lambda points: points + np.array([dx, dy]))) == evaluate_page(
        *page
    )


@given(pages, st.sampled_from([2, 4, 8]))
def test_scaling_whole_pixels_by_a_power_of_two_changes_nothing(
    page: LabelledFinds, factor: float
) -> None:
    # Don't-cares and false positives get lengths from aspect ratios whose 1e-5 does not scale.
    scaled = evaluate_page(*moved(page, lambda points: points * factor))
    counts = evaluate_page(*page)
    assert (scaled.gt_chars, scaled.tp_chars) == (counts.gt_chars, counts.tp_chars)
    assert scaled.recall_penalty == counts.recall_penalty
    assert scaled.precision_penalty == counts.precision_penalty


@given(st.lists(st.tuples(texts, st.integers(8, 60), st.integers(8, 60)), min_size=1, max_size=12))
def test_predicting_the_truth_scores_one(words: list[tuple[str, int, int]]) -> None:
    truth = [
        TextBox(rectangle(70 * (i % 4), 70 * (i // 4), width, height), text)
        for i, (text, width, height) in enumerate(words)
    ]
    counts = evaluate_page(truth, [box.points for box in truth])
    assert (counts.recall, counts.precision, counts.hmean) == (1.0, 1.0, 1.0)


def bent(points: int, width: float, height: float, bow: float) -> NDArray[Any]:
    """A word of `points` points along its top and as many along its bottom, bent up or down."""
    along = np.linspace(0, 1, points)
    top = np.stack([along * width, -bow * height * (1 - (2 * along - 1) ** 2)], axis=1)
    return 100 + np.concatenate([top, (top + np.array([0, height]))[::-1]])


bent_words = st.builds(
    bent, st.integers(2, 9), st.integers(60, 300), st.integers(16, 40), st.floats(-2, 2)
)


@given(bent_words, texts)
def test_predicting_a_bent_word_scores_one(outline: NDArray[Any], text: str | None) -> None:
    assert evaluate_page([TextBox(outline, text)], [outline]).hmean == 1.0


@given(bent_words, texts, st.integers(0, 500), st.integers(0, 500))
def test_bent_word_keeps_its_score_where_it_is_moved_to(
    outline: NDArray[Any], text: str | None, dx: float, dy: float
) -> None:
    # On a grid of quarters no vertex loses a bit by moving.
    outline = np.round(outline * 4) / 4
    page = [TextBox(outline, text)], [outline + np.array([0, 3])]
    assert evaluate_page(*moved(page, lambda points: points + np.array([dx, dy]))) == evaluate_page(
        *page
    )


@given(pages)
def test_scores_lie_between_zero_and_one(page: LabelledFinds) -> None:
    counts = evaluate_page(*page)
    assert 0 <= counts.hmean <= max(counts.recall, counts.precision) <= 1
    assert counts.tp_chars <= counts.gt_chars


def test_counts_add_up() -> None:
    one = CLEvalCounts(gt_chars=4, det_chars=3, tp_chars=3, recall_penalty=0.5)
    assert one + CLEvalCounts() == one
    assert sum([one, one], start=CLEvalCounts()).gt_chars == 8

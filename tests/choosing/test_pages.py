"""Counts by page: what is read back is what was written, and pages keep their groups."""

from pathlib import Path

import pytest

from detector.choosing.pages import KeptEpoch, PageScores
from detector.data.page import Page
from detector.errors import DataError
from detector.evaluation.cleval.counts import CLEvalCounts, DatasetScore

GOOD = CLEvalCounts(gt_chars=10, det_chars=10, tp_chars=10)
POOR = CLEvalCounts(gt_chars=10, det_chars=12, tp_chars=5, recall_penalty=1.5)
PAGES = [
    Page("a.jpg", Path("a.jpg"), (), group="shop 1"),
    Page("b.jpg", Path("b.jpg"), ()),
    Page("c.jpg", Path("c.jpg"), (), group="shop 1"),
]
SCORES = PageScores.of(PAGES, DatasetScore((GOOD, POOR, GOOD)))


def test_what_is_written_is_read_back() -> None:
    kept = KeptEpoch(7, SCORES)
    assert KeptEpoch.from_json(kept.to_json()) == kept


def test_pages_of_one_group_have_one_number_and_a_page_without_has_its_own() -> None:
    assert SCORES.clusters(["a.jpg", "b.jpg", "c.jpg"]).tolist() == [0, 1, 0]


def test_a_page_named_like_a_group_is_not_in_it() -> None:
    scores = PageScores({"a": GOOD, "b": POOR}, {"b": "a"})
    assert scores.clusters(["a", "b"]).tolist() == [0, 1]


def test_two_sets_of_pages_become_one() -> None:
    other = PageScores({"d.jpg": POOR}, {})
    assert (SCORES.only(["a.jpg"]) | other).total == GOOD + POOR


@pytest.mark.parametrize(
    "text", ["", "{}", '{"epoch": 1, "pages": [{"page": "a"}]}', '{"epoch": 1, "pages": 3}']
)
def test_what_is_no_count_of_pages_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"run/pages\.json"):
        KeptEpoch.from_json(text, "run/pages.json")

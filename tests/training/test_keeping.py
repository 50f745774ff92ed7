"""Which epoch is kept: the latest that is as good as the best, within the noise of the pages."""

import pytest

from detector.choosing.pages import KeptEpoch, PageScores
from detector.evaluation.cleval.counts import CLEvalCounts
from detector.training.keeping import EpochChoice


def epoch(number: int, missed: list[int]) -> KeptEpoch:
    """Pages of 100 characters, with `missed` of them not found."""
    counts = {
        f"page {i}": CLEvalCounts(gt_chars=100, det_chars=100 - lost, tp_chars=100 - lost)
        for i, lost in enumerate(missed)
    }
    return KeptEpoch(number, PageScores(counts, {}))


def kept_of(*missed: list[int]) -> int:
    choice = EpochChoice()
    for number, pages in enumerate(missed, start=1):
        choice.offer(epoch(number, pages))
    return choice.kept


def test_a_better_epoch_is_kept() -> None:
    assert kept_of([9] * 20, [2] * 20) == 2


def test_a_later_epoch_that_is_worse_on_every_page_is_not_kept() -> None:
    assert kept_of([2] * 20, [3] * 20) == 1


def test_of_epochs_within_noise_the_latest_is_kept() -> None:
    assert kept_of([2, 4] * 10, [4, 2] * 9 + [4, 3], [2, 4] * 9 + [3, 4]) == 3


def test_noise_is_measured_from_the_best_epoch_not_from_the_one_kept() -> None:
    """Else many steps downwards, each within noise, would lead anywhere."""
    worse_on = [[2 + (page < more) for page in range(20)] for more in (0, 2, 20)]
    assert kept_of(*worse_on[:2]) == 2
    assert kept_of(*worse_on) == 2


@pytest.mark.parametrize(("lost", "kept"), [(1, 2), (4, 1)])
def test_on_one_page_which_tells_nothing_a_hundredth_may_be_lost_at_most(
    lost: int, kept: int
) -> None:
    assert kept_of([10], [10 + lost]) == kept


def test_a_choice_that_is_saved_and_loaded_goes_on_as_before() -> None:
    saved = EpochChoice()
    saved.offer(epoch(1, [2] * 20))
    choice = EpochChoice()
    choice.load_state_dict(saved.state_dict())
    assert choice.kept == 1
    assert not choice.offer(epoch(2, [3] * 20))
    assert choice.offer(epoch(3, [1] * 20))


def test_an_empty_choice_can_be_saved_and_loaded() -> None:
    choice = EpochChoice()
    choice.load_state_dict(EpochChoice().state_dict())
    assert choice.kept == 0

"""The three losses against their definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detector.model.loss import balanced_bce, dice_loss, masked_l1

ONES = torch.ones(1, 1, 8)


def test_bce_keeps_all_positives_and_three_hardest_negatives_for_each() -> None:
    logits = torch.tensor([[[0.0, 5, 4, 3, 2, 1, 0, -1]]])
    target = torch.tensor([[[1.0, 0, 0, 0, 0, 0, 0, 0]]])
    hardest = sum(math.log(1 + math.exp(x)) for x in (5, 4, 3))
    expected = (math.log(2) + hardest) / 4
    assert balanced_bce(logits, target, ONES, 3.0).item() == pytest.approx(expected, rel=1e-5)


def test_bce_does_not_see_masked_pixels() -> None:
    logits = torch.tensor([[[0.0, 50, 0, 0, 0, 0, 0, 0]]])
    target = torch.tensor([[[1.0, 0, 0, 0, 0, 0, 0, 0]]])
    mask = ONES.clone()
    mask[..., 1] = 0
    assert balanced_bce(logits, target, mask, 3.0).item() == pytest.approx(math.log(2), rel=1e-5)


def test_an_empty_crop_still_teaches_that_nothing_is_text() -> None:
    logits = torch.full((1, 10, 10), 3.0, requires_grad=True)
    loss = balanced_bce(logits, torch.zeros(1, 10, 10), torch.ones(1, 10, 10), 3.0)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_a_wholly_masked_crop_gives_no_loss_and_no_nan() -> None:
    zeros = torch.zeros_like(ONES)
    assert balanced_bce(zeros, zeros, zeros, 3.0).item() == 0
    assert masked_l1(zeros, ONES, zeros).item() == 0


@given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_dice_is_least_for_the_target_itself(values: list[float]) -> None:
    target = torch.tensor([[[1.0, 1, 1, 0, 0, 0, 0, 0]]])
    perfect = dice_loss(target, target, ONES).item()
    assert perfect == pytest.approx(0, abs=1e-5)
    assert dice_loss(torch.tensor([[values]]), target, ONES).item() >= perfect - 1e-5


def test_l1_is_the_mean_inside_the_mask() -> None:
    prediction = torch.tensor([[[0.3, 0.7, 9, 9, 9, 9, 9, 9]]])
    mask = torch.tensor([[[1.0, 1, 0, 0, 0, 0, 0, 0]]])
    assert masked_l1(prediction, torch.full_like(ONES, 0.5), mask).item() == pytest.approx(0.2)

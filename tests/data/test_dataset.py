"""Training crops: the same draw gives the same crop, and polygons follow the picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config.schema import AugmentConfig, ResizeConfig
from detector.data.augment import apply_warp, change_light, draw_warp, warp_outlines
from detector.data.batches import EpochBatches
from detector.data.resize import pad_to_stride, resize_page

SIZES = st.integers(10, 900)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 3), st.integers(0, 5))
def test_an_epoch_can_be_taken_up_at_any_batch(
    pages: int, batch_size: int, crops: int, start: int
) -> None:
    whole, rest = (EpochBatches(pages, batch_size, crops, seed=1) for _ in range(2))
    whole.epoch = rest.epoch = 4
    rest.start = start
    assert list(rest) == list(whole)[start:]
    assert len(list(whole)) == len(whole)


def test_epochs_differ_and_take_no_page_more_often_than_asked() -> None:
    batches = EpochBatches(pages=10, batch_size=5, crops_per_page=2, seed=0)
    epochs = []
    for epoch in (1, 2):
        batches.epoch = epoch
        epochs.append([draw.page for batch in batches for draw in batch])
    assert epochs[0] != epochs[1]
    assert all(sorted(pages) == sorted([*range(10), *range(10)]) for pages in epochs)


@given(st.integers(1, 12), st.integers(0, 30), st.integers(1, 3), st.integers(1, 50))
def test_pages_that_a_model_labelled_are_at_most_half_of_an_epoch(
    labelled: int, taught: int, crops: int, epoch: int
) -> None:
    batches = EpochBatches(labelled, 1, crops, seed=3, taught=taught)
    batches.epoch = epoch
    pages = [draw.page for batch in batches for draw in batch]
    assert len(pages) == len(batches)
    assert all(pages.count(page) == crops for page in range(labelled))
    others = {page for page in pages if page >= labelled}
    assert len(others) == min(labelled, taught)
    assert others <= set(range(labelled, labelled + taught))
    assert all(pages.count(page) == crops for page in others)


def test_each_epoch_draws_other_pages_that_a_model_labelled() -> None:
    batches = EpochBatches(5, 1, 1, seed=0, taught=1000)
    drawn: set[int] = set()
    for epoch in range(1, 101):
        batches.epoch = epoch
        drawn |= {draw.page for batch in batches for draw in batch if draw.page >= 5}
    assert len(drawn) > 350  # of 500 draws from 1000 pages; 393 are expected


@given(SIZES, SIZES, st.integers(0, 2**32))
def test_the_anchor_is_always_visible(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchor = rng.uniform(0, 1, 2) * [width, height]
    warp = draw_warp((height, width), 128, anchor, AugmentConfig(), rng)
    place = warp_outlines([anchor[None]], warp)[0][0]
    assert np.all((place >= -1e-6) & (place <= 128 + 1e-6))


def test_polygons_follow_the_picture() -> None:
    page = np.full((300, 200, 3), 255, np.uint8)
    page[140:160, 90:110] = 0
    rng = np.random.default_rng(5)
    config = AugmentConfig(rotate_degrees=30, quarter_turn=0.5, scale=(0.8, 1.5), aspect=0.2)
    square = np.array([[90, 140], [110, 140], [110, 160], [90, 160]], np.float64)
    for _ in range(20):
        warp = draw_warp((300, 200), 256, np.array([100.0, 150.0]), config, rng)
        picture = apply_warp(page, warp, 256)
        dark_y, dark_x = np.nonzero(picture[..., 0] < 60)
        centre = warp_outlines([square], warp)[0].mean(axis=0)
        assert abs(centre - [dark_x.mean(), dark_y.mean()]).max() < 1.0


@given(SIZES, SIZES, st.integers(0, 2**32))
def test_a_page_comes_sideways_as_often_as_was_asked_for(
    height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    upright, sideways = (
        AugmentConfig(rotate_degrees=5, aspect=0, quarter_turn=share) for share in (0.0, 1.0)
    )
    kept = draw_warp((height, width), 128, None, upright, rng)
    turned = draw_warp((height, width), 128, None, sideways, rng)
    angles = [np.rad2deg(np.arctan2(warp[1, 0], warp[0, 0])) for warp in (kept, turned)]
    assert abs(angles[0]) <= 5
    assert min(abs(abs(angles[1]) - quarter) for quarter in (90, 180)) <= 5


def test_light_changes_are_repeatable_and_can_be_turned_off() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    config = AugmentConfig(blur=1, noise=1, shadow=1)
    first, second = (change_light(picture, config, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    off = change_light(picture, AugmentConfig(enabled=False), np.random.default_rng(3))
    np.testing.assert_array_equal(off, picture)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_a_resized_page_has_the_side_that_was_asked_for(height: int, width: int) -> None:
    page = np.zeros((height, width, 3), np.uint8)
    rule = ResizeConfig(rule="shortest_side", side=64, max_side=256)
    pixels, scale_x, scale_y, _, part = resize_page(page, rule)
    shortest, longest = sorted(pixels.shape[:2])
    if part is None:
        assert longest <= 256
        assert shortest == 64 or longest == 256
    else:
        assert part == 256 < longest <= 32_000
        assert shortest == 64 or longest == 32_000
    assert pixels.shape[:2] == pytest.approx((height * scale_y, width * scale_x))
    assert all(side % 32 == 0 for side in pad_to_stride(pixels).shape[:2])

"""Thresholds tuned on maps whose best thresholds are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.config.schema import DataConfig, PostprocessConfig, ResizeConfig
from detector.data.page import Page, TextBox
from detector.ensemble.thresholds import tune_thresholds

DATA = DataConfig(resize=ResizeConfig(rule="longest_side", side=256))
SHRUNK_BY = 6
"""Pixels that the maps' regions are smaller by than the text, on each side."""


def read_from_picture(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A network that says of each pixel how bright it is."""
    return picture[..., 0].astype(np.float32) / np.float32(255)


def draw_pages(folder: Path, probability: float) -> list[Page]:
    """Pages of 256 x 256 whose text is as bright as the network shall be sure of it."""
    pages = []
    for number in range(6):
        rng = np.random.default_rng(number)
        picture, boxes = np.zeros((256, 256, 3), np.uint8), []
        for row in range(20, 230, 40):
            left, right = rng.integers(10, 60), rng.integers(150, 240)
            box = np.array([[left, row], [right, row], [right, row + 20], [left, row + 20]])
            boxes.append(TextBox(box.astype(np.float64), "text"))
            (x0, y0), (x1, y1) = box[0] + SHRUNK_BY, box[2] - SHRUNK_BY
            picture[y0:y1, x0:x1] = round(255 * probability)
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), picture)
        pages.append(Page(f"{number}.png", path, tuple(boxes)))
    return pages


def test_a_network_that_is_unsure_gets_a_lower_threshold(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path, probability=0.47)
    own = PostprocessConfig(thresh=0.3, box_thresh=0.5, unclip_ratio=1.5)
    tuned = tune_thresholds({"fold 0": read_from_picture}, {"fold 0": pages}, DATA, own)
    assert tuned.postprocess.box_thresh < 0.47
    assert tuned.gain.low > 0.5
    assert tuned.pages == 6
    assert "box_thresh 0.5" in tuned.reason


def test_outlines_that_are_too_tight_are_widened_for_iou(tmp_path: Path) -> None:
    pages = draw_pages(tmp_path, probability=0.9)
    own = PostprocessConfig(thresh=0.3, box_thresh=0.5, unclip_ratio=0.4)
    tuned = tune_thresholds({"fold 0": read_from_picture}, {"fold 0": pages}, DATA, own)
    assert tuned.postprocess.unclip_ratio > own.unclip_ratio
    assert tuned.iou_gain > 0.5


@pytest.mark.parametrize("probability", [0.0, 0.9])
def test_thresholds_are_kept_where_no_others_do_better(tmp_path: Path, probability: float) -> None:
    pages = draw_pages(tmp_path, probability)
    own = PostprocessConfig(thresh=0.3, box_thresh=0.5, unclip_ratio=1.5)
    tuned = tune_thresholds({"fold 0": read_from_picture}, {"fold 0": pages}, DATA, own)
    assert tuned.postprocess == own
    assert "kept" in tuned.reason

"""Inference's own steps; detection as a whole is tested where networks are."""

import numpy as np

from detector.detecting.inference import normalise


def test_normalised_values_are_exactly_those_of_the_formula() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    picture = np.arange(256 * 3, dtype=np.int64).reshape(16, 16, 3).astype(np.uint8)
    wanted = (picture / np.float32(255) - np.array(mean, np.float32)) / np.array(std, np.float32)
    found = normalise(picture, mean, std)
    assert found.dtype == np.float32
    assert found.shape == (1, 3, 16, 16)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found[0].transpose(1, 2, 0), wanted)

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.search.unit import UnitCube
from detector.sweepfile import space

SPACE = {
    "lr": space.LogUniform(distribution="log_uniform_values", min=1e-5, max=2e-4),
    "decay": space.LogUniform(distribution="inv_log_uniform", min=2, max=9),
    "momentum": space.Uniform(distribution="uniform", min=0, max=1),
    "size": space.Uniform(distribution="q_uniform", min=640, max=1600, q=32),
    "batch": space.LogUniform(distribution="q_log_uniform_values", min=1, max=64, q=1),
    "epochs": space.IntUniform(min=10, max=30),
    "drop": space.Beta(distribution="beta", a=2.0, b=5.0),
    "jitter": space.Normal(distribution="log_normal", mu=0.0, sigma=1.0),
    "t_max": space.Categorical(values=[25, 15, 20, 18]),
    "norm": space.Categorical(values=["batch", "layer", None]),
    "seed": space.Constant(value=3),
}
CUBE = UnitCube(space.axes(SPACE))
ROWS = st.lists(st.floats(0, 1), min_size=CUBE.dimensions, max_size=CUBE.dimensions).map(np.array)


def edge(name: str) -> int:
    return CUBE.names.index(name)


def test_constants_have_no_edge() -> None:
    assert "seed" not in CUBE.names
    assert CUBE.dimensions == len(SPACE) - 1


@given(ROWS)
def test_every_row_is_a_point_that_can_be_run(row: NDArray[np.float64]) -> None:
    point = CUBE.point(CUBE.snap(row[None])[0])

    params: dict[str, Any] = space.values(SPACE, point)

    assert 1e-5 <= params["lr"] <= 2e-4
    assert params["epochs"] in range(10, 31)
    assert isinstance(params["epochs"], int)
    assert params["t_max"] in {15, 18, 20, 25}
    assert params["norm"] in {"batch", "layer", None}
    assert params["size"] % 32 == 0
    assert 0 <= params["drop"] <= 1
    assert np.isfinite(params["jitter"])


@given(ROWS)
def test_a_snapped_row_comes_back_from_its_point(row: NDArray[np.float64]) -> None:
    snapped = CUBE.snap(row[None])[0]

    assert CUBE.row(CUBE.point(snapped)) == pytest.approx(snapped, abs=1e-9)


def test_faces_of_the_cube_are_the_ends_of_the_ranges() -> None:
    low, high = CUBE.point(np.zeros(CUBE.dimensions)), CUBE.point(np.ones(CUBE.dimensions))

    assert (low["lr"], high["lr"]) == (1e-5, 2e-4)
    assert (low["epochs"], high["epochs"]) == (10, 30)


def test_numbers_among_choices_lie_in_their_order() -> None:
    positions = {
        label: CUBE.row({**centre(), "t_max": label})[edge("t_max")]
        for label in ("15", "18", "20", "25")
    }

    assert list(positions.values()) == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_other_choices_are_equally_far_apart() -> None:
    rows = np.array(
        [CUBE.row({**centre(), "norm": label}) for label in ('"batch"', '"layer"', "null")]
    )

    features = CUBE.features(rows)

    distances = [np.linalg.norm(features[i] - features[j]) for i, j in ((0, 1), (1, 2), (0, 2))]
    assert distances == pytest.approx([1, 1, 1])


def test_features_of_one_choice_belong_to_one_parameter() -> None:
    columns = CUBE.parameter_of_feature == edge("norm")

    assert columns.sum() == 3
    assert len(CUBE.parameter_of_feature) == CUBE.dimensions + 2


def test_quantiles_follow_the_prior() -> None:
    uniform = np.random.default_rng(0).random((4000, CUBE.dimensions))

    rows = CUBE.at_quantiles(uniform)

    assert rows[:, edge("drop")].mean() == pytest.approx(2 / 7, abs=0.01)
    shares = np.bincount(np.round(rows[:, edge("t_max")] * 3).astype(int)) / len(rows)
    assert shares == pytest.approx([0.25] * 4, abs=0.03)
    epochs = np.bincount(np.round(rows[:, edge("epochs")] * 20).astype(int)) / len(rows)
    assert epochs == pytest.approx([1 / 21] * 21, abs=0.02)


def test_quantiles_follow_the_probabilities_of_choices() -> None:
    weighted = space.Categorical(
        distribution="categorical_w_probabilities",
        values=[1, 2, 3],
        probabilities=[0.2, 0.0, 0.8],
    )
    cube = UnitCube(space.axes({"a": weighted}))

    rows = cube.at_quantiles(np.linspace(0, 1, 1001)[:-1, None])

    labels = [cube.point(row)["a"] for row in rows]
    assert [labels.count(label) for label in ("1", "2", "3")] == [200, 0, 800]


def centre() -> dict[str, float | str]:
    return CUBE.point(CUBE.snap(np.full((1, CUBE.dimensions), 0.5))[0])

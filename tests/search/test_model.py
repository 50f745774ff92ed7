import numpy as np
import pytest
from numpy.typing import NDArray

from detector.search.model import CurveModel, Observed

HORIZON = 12
ONE = np.zeros(1, dtype=int)


def crossing_curves(count: int, epochs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of one parameter: high values begin well and end badly."""
    x = np.linspace(0, 1, count)
    gone = np.arange(HORIZON) / (HORIZON - 1)
    values = 1.5 * (1 - x[:, None]) * gone + 1.5 * x[:, None] * (1 - gone) - 0.75
    values[:, epochs:] = np.nan
    return x[:, None], values


def fitted(
    features: NDArray[np.float64], values: NDArray[np.float64], steps: int = 15
) -> CurveModel:
    model = CurveModel(np.arange(features.shape[1]), values.shape[1])
    model.fit(Observed(features, values), steps)
    return model


@pytest.mark.parametrize("seed", range(3))
def test_gradient_is_that_of_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(9, HORIZON)).cumsum(axis=1) / 3
    for row in values:
        row[rng.integers(1, HORIZON + 1) :] = np.nan
    model = CurveModel(np.array([0, 1, 1]), HORIZON)
    model.fit(Observed(rng.random((9, 3)), values), steps=0)
    theta = rng.normal(size=2 * 2 + 7) - 1

    _, gradient = model.loss(theta)

    step = 1e-5
    numeric = [
        (model.loss(theta + step * axis)[0] - model.loss(theta - step * axis)[0]) / (2 * step)
        for axis in np.eye(len(theta))
    ]
    assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_fitting_lowers_the_loss() -> None:
    features, values = crossing_curves(8, HORIZON)
    model = CurveModel(ONE, HORIZON)
    model.fit(Observed(features, values), steps=0)
    before, _ = model.loss(model.theta)

    model.fit(Observed(features, values), steps=15)

    assert model.loss(model.theta)[0] < before


def test_finished_curves_are_believed() -> None:
    features, values = crossing_curves(8, HORIZON)

    belief = fitted(features, values).believe(features, np.arange(8))

    assert belief.mean == pytest.approx(values[:, -1], abs=0.25)
    assert np.corrcoef(belief.mean, values[:, -1])[0, 1] > 0.99


def test_curves_that_cross_are_foreseen_once_some_have_crossed() -> None:
    features, values = crossing_curves(9, HORIZON)
    values[1:8, 4:] = np.nan  # Only the two extremes have run to their end.
    assert values[6, 3] > values[2, 3]

    belief = fitted(features, values).believe(features, np.arange(9))

    assert belief.mean[6] < belief.mean[2]


def test_more_epochs_leave_less_doubt() -> None:
    young = fitted(*crossing_curves(6, 2), steps=0)
    old = fitted(*crossing_curves(6, 9), steps=0)
    features, _ = crossing_curves(6, 2)

    assert (old.believe(features).variance < young.believe(features).variance).all()


def test_doubt_grows_with_the_distance_from_what_was_tried() -> None:
    model = fitted(np.array([[0.1], [0.2], [0.3], [0.4]]), crossing_curves(4, HORIZON)[1])

    near, far = model.believe(np.array([[0.25], [0.95]])).variance

    assert far > near


def test_an_assumed_level_takes_away_doubt_but_changes_no_expectation() -> None:
    features, values = crossing_curves(6, 6)
    model = fitted(features, values)
    new = np.array([[0.55]])
    before = model.believe(new)

    model.assume(new, before.mean, np.array([6]))
    after = model.believe(new)

    assert after.mean == pytest.approx(before.mean, abs=0.05)
    assert after.variance < before.variance


def test_missing_epochs_are_no_values() -> None:
    features, values = crossing_curves(5, HORIZON)
    values[:, 3] = np.nan

    assert np.isfinite(fitted(features, values).believe(features).mean).all()

"""The same as W&B's engine: bands, which trials are stopped, distributions, what is a valid file.

What the engine says was recorded by `record.py`.
"""

import bisect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from detector.errors import SweepError
from detector.search.hyperband import Hyperband
from detector.sweepfile.space import draw, values
from detector.sweepfile.spec import parse_distribution, read_sweep

GOLDEN = json.loads(Path(__file__).with_name("sweeps.json").read_text(encoding="utf-8"))
DRAWS = 4000

STRICTER = {
    "parameter: values repeated": "a sampler would take one choice for two",
    "parameter: sigma of 0": "nothing varies; W&B's engine draws NaN",
    "parameter: a of 0": "no such beta distribution; W&B's engine draws NaN",
    "parameter: nested, min above max": "W&B does not look into nested parameters",
    "both forms without s": "W&B accepts it and fails at the first check",
    "random without a metric": "the agents of a program need to know which number counts",
    "custom": "a search of the user's own",
}
"""What detsweep refuses and W&B accepts, and why."""

MILDER = {
    "parameter: log_uniform": "W&B marks it as deprecated, and runs it",
    "parameter: text": "YAML writes the text 1e-5 without quotes, and detsweep reads a number",
}
"""What detsweep accepts and W&B refuses, and why."""


def refusal(file: Any) -> str | None:
    try:
        read_sweep(yaml.safe_dump(file), "sweep.yaml")
    except SweepError as error:
        return str(error)
    return None


@pytest.mark.parametrize("case", GOLDEN["verdicts"], ids=lambda case: case["name"])
def test_a_file_is_refused_where_the_engine_refuses_it(case: Any) -> None:
    refused = refusal(case["file"]) is not None
    if case["name"] in STRICTER:
        assert refused
        assert not case["violations"]
    elif case["name"] in MILDER:
        assert not refused
        assert case["violations"]
    else:
        assert refused == bool(case["violations"]), case["violations"]


@pytest.mark.parametrize("case", GOLDEN["bands"], ids=lambda case: str(case["rule"]))
def test_the_bands_are_those_of_the_engine(
    case: dict[str, Any],
) -> None:
    assert Hyperband(**case["rule"]).bands()[:8] == case["bands"]


def test_the_trials_that_are_stopped_are_those_of_the_engine() -> None:
    for case in GOLDEN["stops"]:
        rule, curves = Hyperband(**case["rule"]), case["curves"]
        stopped = [
            number
            for number, curve in enumerate(curves)
            if rule.should_stop(curve, curves, case["goal"])
        ]
        assert stopped == case["stopped"]


@pytest.mark.parametrize("case", GOLDEN["quantiles"], ids=lambda case: str(case["parameter"]))
def test_what_is_drawn_is_distributed_as_in_the_engine(case: Any) -> None:
    space = {"p": parse_distribution(case["parameter"], "", "p")}
    rng = np.random.default_rng(11)
    drawn: list[Any] = [values(space, draw(space, rng))["p"] for _ in range(DRAWS)]
    sample = sorted(drawn)
    # Four standard errors of a share; a value that is drawn often spans many probabilities.
    tolerance = 4 * 0.5 / DRAWS**0.5
    for number, quantile in enumerate(case["quantiles"]):
        probability = (2 * number + 1) / 100
        slack = 1e-9 * abs(quantile)
        below = bisect.bisect_left(sample, quantile - slack) / DRAWS
        up_to = bisect.bisect_right(sample, quantile + slack) / DRAWS
        assert below - tolerance <= probability <= up_to + tolerance
    if "q" in case["parameter"]:  # by default it is 1 here and 1.0 in the engine
        assert {type(value) for value in sample} == {type(case["quantiles"][0])}

"""What a step hands to Kubeflow, held against the rules of Kubeflow's launcher."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kfp import dsl

from components.outputs import describe, measure
from tests.components.launcher import RefusedError, read_outputs

NUMBERS = st.one_of(st.integers(), st.floats(), st.booleans())
VALUES = st.recursive(
    st.none() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def as_launcher_gets(*artifacts: dsl.Artifact) -> str:
    """The file that kfp's executor writes."""
    return json.dumps(
        {
            "artifacts": {
                str(number): {
                    "artifacts": [{"name": "a", "uri": "minio://a", "metadata": artifact.metadata}]
                }
                for number, artifact in enumerate(artifacts)
            }
        }
    )


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_the_rules_refuse_what_the_launcher_refused(value: object) -> None:
    artifact = dsl.Metrics(uri="u", metadata={"reused_trial": value})
    with pytest.raises(RefusedError):
        read_outputs(as_launcher_gets(artifact))


def test_the_rules_take_what_the_launcher_took() -> None:
    artifact = dsl.Metrics(uri="u", metadata={"a": {"nested": None}, "b": 1, "c": True, "d": ""})
    read_outputs(as_launcher_gets(artifact))


@given(st.text(min_size=1), st.dictionaries(st.text(), VALUES))
def test_any_properties_are_taken(name: str, properties: dict[str, object]) -> None:
    artifact = dsl.Artifact(uri="u", metadata={})
    describe(artifact, name, properties)
    read_outputs(as_launcher_gets(artifact))
    assert artifact.metadata["display_name"] == name or "display_name" in properties


@given(st.dictionaries(st.text(), st.none() | st.floats() | st.integers(-(2**60), 2**60)))
def test_any_metrics_are_taken(values: dict[str, float | None]) -> None:
    metrics = dsl.Metrics(uri="u", metadata={})
    measure(metrics, values)
    read_outputs(as_launcher_gets(metrics))
    assert all(math.isfinite(value) for value in metrics.metadata.values())


def test_what_has_a_value_is_kept_and_what_has_none_is_left_out() -> None:
    artifact = dsl.Artifact(uri="u", metadata={})
    describe(artifact, "fold 1", {"reused_trial": None, "epoch": 3, "range": (0.5, math.nan)})
    assert artifact.metadata == {"display_name": "fold 1", "epoch": 3, "range": [0.5, None]}


def test_a_text_too_long_for_the_metadata_store_is_left_out() -> None:
    artifact = dsl.Artifact(uri="u", metadata={})
    describe(artifact, "model", {"notes": "x" * 100_000, "licence": "Apache-2.0"})
    assert artifact.metadata == {"display_name": "model", "licence": "Apache-2.0"}

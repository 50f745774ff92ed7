"""Whatever a release is called, the API takes every name and label in it, and every name and label
that the cluster makes of those."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from tests.charts.rendering import CHART, Manifest, containers, find, pod_specs, render

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = re.compile(LABEL)
DNS_1035 = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
LONGEST_REVISION = "-4294967295"
"""What a StatefulSet's controller puts after its name in the label of each pod: a 32-bit hash."""

HELMS_LONGEST = 53
RELEASES = (
    st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= HELMS_LONGEST)
    # Names as long as Helm takes. Random ones are seldom that long.
    | st.from_regex(f"[a-z0-9]([-a-z0-9]{{{HELMS_LONGEST - 2}}})[a-z0-9]", fullmatch=True)
)
"""Names that Helm takes for a release."""

ALL_KINDS = {
    "podDisruptionBudget": {"enabled": True},
    "volumes": {"data": {"enabled": True}, "cache": {"enabled": True}},
}
EXTERNAL_S3 = {"s3": {"enabled": False, "existingSecret": "company-s3"}}


def names(manifest: Manifest) -> Iterator[tuple[str, re.Pattern[str], int]]:
    """A manifest's name and those that the cluster makes of it, with their rule and length."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "Service":
        yield name, DNS_1035, 63
    elif kind == "StatefulSet":
        yield name + "-0", DNS_LABEL, 63
        yield name + LONGEST_REVISION, LABEL_VALUE, 63
    elif kind == "Job":
        yield name, LABEL_VALUE, 63
    yield name, SUBDOMAIN, 253


def labels(manifest: Manifest) -> Iterator[str]:
    yield from manifest["metadata"].get("labels", {}).values()
    template = manifest.get("spec", {}).get("template", {})
    yield from template.get("metadata", {}).get("labels", {}).values()


def check_names(manifests: list[Manifest]) -> None:
    assert len({(m["kind"], m["metadata"]["name"]) for m in manifests}) == len(manifests)
    for manifest in manifests:
        for name, rule, longest in names(manifest):
            assert isinstance(name, str)
            assert rule.fullmatch(name), (manifest["kind"], name)
            assert len(name) <= longest, (manifest["kind"], name)
        for label in labels(manifest):
            assert isinstance(label, str)
            assert LABEL_VALUE.fullmatch(label), label
            assert len(label) <= 63
    for _, spec in pod_specs(manifests):
        for container in containers(spec):
            for variable in container.get("env", []):
                assert isinstance(variable.get("value", ""), str), variable


@settings(max_examples=60, deadline=None)
@given(release=RELEASES)
def test_whatever_a_release_is_called_the_api_takes_every_name(release: str) -> None:
    check_names(render(ALL_KINDS, release))
    check_names(render(EXTERNAL_S3, release))


@settings(max_examples=60, deadline=None)
@given(override=st.from_regex(f"{DNS_1035.pattern}", fullmatch=True).map(lambda text: text[:40]))
def test_whatever_the_override_it_is_refused_or_works(override: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    values = {**ALL_KINDS, "fullnameOverride": override}
    try:
        manifests = render(values)
    except helm.HelmError:
        assert not DNS_1035.fullmatch(override)
    else:
        check_names(manifests)
        assert find(manifests, "Service", f"{override}-s3")


@pytest.mark.parametrize("override", ["2024-receipts", "a" * 41, "receipts-", "a.b", "Receipts"])
def test_an_override_that_the_api_would_refuse_is_refused_at_once(override: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    with pytest.raises(helm.HelmError, match="fullnameOverride"):
        render({"fullnameOverride": override})


@pytest.mark.parametrize(
    ("release", "service"),
    [
        ("detsweep", "detsweep-s3"),
        ("2024-receipts", "detsweep-2024-receipts-s3"),
        ("receipts.v2", "receipts-v2-s3"),
        ("r" * 53, "r" * 40 + "-s3"),
    ],
)
def test_a_name_is_kept_where_it_can_be(release: str, service: str) -> None:
    assert find(render(release=release), "Service", service)


@settings(max_examples=60, deadline=None)
@given(
    secret=st.from_regex(SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253),
    user=st.sampled_from(["true", "null", "on", "_", "y", "e1", "detsweep"]),
)
def test_a_name_that_looks_like_a_number_or_a_truth_stays_text(secret: str, user: str) -> None:
    values: dict[str, Any] = {
        "s3": {"existingSecret": secret},
        "postgresql": {"existingSecret": "1e3", "user": user, "database": user},
        "priorityClassName": "100",
        "dashboard": {"existingSecret": "08"},
        "serviceAccount": {"name": "007"},
        "imagePullSecrets": [{"name": "12"}],
    }
    manifests = render(values)
    check_names(manifests)
    for _, spec in pod_specs(manifests):
        assert spec["priorityClassName"] == "100"
        assert spec["serviceAccountName"] == "007"
        for container in containers(spec):
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    assert variable["valueFrom"]["secretKeyRef"]["name"] in {secret, "1e3", "08"}


def _pattern(definition: str) -> str:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    pattern: str = schema["definitions"][definition]["pattern"]
    return pattern


@settings(max_examples=200, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("definition", ["quantity", "size"])
def test_every_quantity_that_the_schema_takes_is_one_of_kubernetes(
    definition: str, data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(_pattern(definition).replace("$", r"\Z")))
    amount = parse_quantity(text)
    assert amount >= 0
    if definition == "size":
        assert amount > 0

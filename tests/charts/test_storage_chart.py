"""The storage chart: what it asks a cluster for, and which values it refuses."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.charts.rendering import (
    CHART,
    KUBERNETES,
    RESTRICTED_CONTAINER,
    containers,
    find,
    pod_specs,
    render,
)

EXTERNAL: dict[str, Any] = {
    "s3": {"enabled": False, "existingSecret": "company-s3"},
    "postgresql": {
        "enabled": False,
        "existingSecret": "company-db",
        "external": {"host": "db.example.com", "port": 6432},
    },
}
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "external services": EXTERNAL,
    "external S3": {"s3": EXTERNAL["s3"]},
    "external PostgreSQL": {"postgresql": EXTERNAL["postgresql"]},
    "secrets of one's own": {
        "s3": {"existingSecret": "mine"},
        "postgresql": {"existingSecret": "mine"},
    },
    "everything optional on": {
        "fullnameOverride": "storage",
        "imagePullSecrets": [{"name": "registry"}],
        "s3": {
            "extraArgs": ["-s3.concurrentUploadLimitMB=256"],
            "storage": {"size": "1Ti", "storageClass": "fast"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "storage", "operator": "Exists"}],
        },
        "postgresql": {
            "settings": {"shared_buffers": "1GB", "synchronous_commit": False},
            "affinity": {"nodeAffinity": {}},
        },
        "volumes": {"data": {"enabled": True}, "cache": {"enabled": True, "storageClass": "nfs"}},
    },
    "everything optional off": {
        "dashboard": {"enabled": False},
        "setup": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "podLabels": {"sidecar.istio.io/inject": None},
    },
    "users chosen by the cluster": {
        "s3": {"runAsUser": None},
        "postgresql": {"runAsUser": None},
    },
}
every_matrix_entry = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())


@every_matrix_entry
def test_helm_lint_finds_nothing(values: Mapping[str, Any]) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    report = helm.lint(CHART, dict(values), strict=True)
    assert report["errors"] == []
    assert [m for m in report["messages"] if m["severity"] > 1] == []


@every_matrix_entry
@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_one_of_kubernetes(values: Mapping[str, Any], version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="it is not installed")
    for manifest in render(values):
        schemas.validate(manifest, version, strict=True)


@every_matrix_entry
def test_every_pod_meets_the_restricted_standard(values: Mapping[str, Any]) -> None:
    for name, spec in pod_specs(render(values)):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert {key for volume in spec["volumes"] for key in volume} <= {
            "name",
            "configMap",
            "emptyDir",
        }
        for container in containers(spec):
            assert container["securityContext"] == RESTRICTED_CONTAINER, name


@every_matrix_entry
def test_no_pod_gets_a_token_and_each_says_what_it_needs(values: Mapping[str, Any]) -> None:
    for name, spec in pod_specs(render(values)):
        assert spec["automountServiceAccountToken"] is False, name
        for container in containers(spec):
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


@every_matrix_entry
def test_no_password_is_an_argument(values: Mapping[str, Any]) -> None:
    manifests = render(values)
    secrets = [m for m in manifests if m["kind"] == "Secret"]
    hidden = {value for secret in secrets for value in secret["data"].values()}
    for _, spec in pod_specs(manifests):
        for container in containers(spec):
            assert hidden.isdisjoint(container.get("args", []))
            for variable in container.get("env", []):
                is_secret = re.search("PASSWORD|ACCESS_KEY", variable["name"])
                assert ("secretKeyRef" in variable.get("valueFrom", {})) or not is_secret


@every_matrix_entry
def test_selectors_find_their_pods(values: Mapping[str, Any]) -> None:
    manifests = render(values)
    pods = [m["spec"]["template"]["metadata"]["labels"] for m in manifests if _has_template(m)]
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        selector = spec.get("selector") or spec.get("podSelector")
        if kind in {"Service", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet"}:
            wanted = selector.get("matchLabels", selector)
            assert sum(wanted.items() <= labels.items() for labels in pods) == 1, kind


def _has_template(manifest: Mapping[str, Any]) -> bool:
    return "template" in manifest.get("spec", {})


def test_the_defaults_are_what_the_pipeline_expects() -> None:
    from pipelines.sweep import sweep_pipeline

    parameters = sweep_pipeline.pipeline_spec.root.input_definitions.parameters
    assert parameters["backend_url"].default_value.string_value == (
        "postgresql://detsweep@detsweep-postgresql:5432/detsweep"
    )
    assert parameters["store_url"].default_value.string_value.startswith("s3://detsweep/")
    manifests = render()
    assert find(manifests, "Service", "detsweep-postgresql")["spec"]["ports"][0]["port"] == 5432
    s3 = find(manifests, "Secret", "detsweep-s3")["data"]
    assert s3.keys() == {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert "password" in find(manifests, "Secret", "detsweep-postgresql")["data"]


def test_volumes_and_secrets_outlive_the_release() -> None:
    manifests = render(VALUES["everything optional on"])
    kept = [m for m in manifests if m["kind"] in {"Secret", "PersistentVolumeClaim"}]
    assert len(kept) == 4
    for manifest in kept:
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_what_cannot_be_changed_later_does_not_name_the_version() -> None:
    """A StatefulSet whose claims or selector differ from those in the cluster can't be upgraded."""
    for manifest in render():
        if manifest["kind"] == "StatefulSet":
            (claim,) = manifest["spec"]["volumeClaimTemplates"]
            labels = manifest["spec"]["selector"]["matchLabels"]
            assert claim["metadata"]["labels"] == labels
            assert not any("version" in key or "chart" in key for key in labels)


def test_a_secret_of_ones_own_takes_the_place_of_a_made_one() -> None:
    manifests = render(VALUES["secrets of one's own"])
    assert not any(m["kind"] == "Secret" for m in manifests)
    named = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for _, spec in pod_specs(manifests)
        for container in containers(spec)
        for variable in container["env"]
        if "valueFrom" in variable
    }
    assert named == {"mine"}


def test_external_services_start_no_server() -> None:
    manifests = render(EXTERNAL)
    assert not any(m["kind"] in {"StatefulSet", "PodDisruptionBudget"} for m in manifests)
    dashboard = find(manifests, "Deployment", "detsweep-dashboard")["spec"]["template"]["spec"]
    url = "postgresql+psycopg2://detsweep@db.example.com:6432/detsweep"
    assert dashboard["containers"][0]["args"][0] == url


def test_only_the_ports_of_the_services_are_open() -> None:
    policies = [m["spec"] for m in render() if m["kind"] == "NetworkPolicy"]
    opened = sorted(policy["ingress"][0]["ports"][0]["port"] for policy in policies)
    assert opened == [5432, 8080, 8333]
    servers = [policy for policy in policies if policy["ingress"][0]["ports"][0]["port"] != 8080]
    assert all(policy["egress"] == [] for policy in servers)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"s3": {"enabled": False}}, "existingSecret"),
        ({"postgresql": {"enabled": False, "existingSecret": "db"}}, "host"),
        ({"s3": {"bucket": "Detsweep_Runs"}}, "bucket"),
        ({"s3": {"runAsUser": 0}}, "runAsUser"),
        ({"postgresql": {"user": "a b"}}, "user"),
        ({"postgresql": {"storage": {"size": "ten gigabytes"}}}, "size"),
        ({"dashbord": {"enabled": False}}, "dashbord"),
        ({"volumes": {"data": {"accessModes": []}}}, "accessModes"),
        ({"s3": {"image": "weed:"}}, "image"),
    ],
)
def test_values_that_would_not_work_are_refused(values: dict[str, Any], complaint: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    with pytest.raises(helm.HelmError, match=complaint):
        render(values)

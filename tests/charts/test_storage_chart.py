"""The storage chart: what it asks a cluster for, and which values it refuses."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.charts.rendering import (
    CHART,
    KUBERNETES,
    RESTRICTED_CONTAINER,
    Manifest,
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
        "dashboard": {"existingSecret": "mine"},
    },
    "everything optional on": {
        "fullnameOverride": "storage",
        "imagePullPolicy": "Always",
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClassName": "storage",
        "podAnnotations": {"example.com/team": "receipts"},
        "serviceAccount": {"name": "storage", "annotations": {"example.com/role": "storage"}},
        "podDisruptionBudget": {"enabled": True},
        "s3": {
            "image": f"registry.example.com:5000/s3@sha256:{'0a' * 32}",
            "region": "eu-central-1",
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
        "serviceAccount": {"create": False},
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
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}, name


def test_what_holds_for_every_pod_reaches_every_pod() -> None:
    for name, spec in pod_specs(render(VALUES["everything optional on"])):
        assert spec["imagePullSecrets"] == [{"name": "registry"}], name
        assert spec["priorityClassName"] == "storage", name
        assert spec["serviceAccountName"] == "storage", name
        assert {c["imagePullPolicy"] for c in containers(spec)} == {"Always"}, name


def test_annotations_of_ones_own_reach_every_pod_and_win() -> None:
    evicted = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    given = {"example.com/team": "receipts", **evicted}
    for manifest in render({"podAnnotations": given}):
        pod = manifest if manifest["kind"] == "Pod" else manifest.get("spec", {}).get("template")
        if pod is not None:
            assert given.items() <= pod["metadata"]["annotations"].items(), manifest["kind"]


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
    assert s3.keys() == {
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
    }
    assert "password" in find(manifests, "Secret", "detsweep-postgresql")["data"]


def test_volumes_and_secrets_outlive_the_release() -> None:
    manifests = render(VALUES["everything optional on"])
    kept = [m for m in manifests if m["kind"] in {"Secret", "PersistentVolumeClaim"}]
    assert len(kept) == 5
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
    assert {reference["name"] for reference in secret_references(manifests)} == {"mine"}


def secret_references(manifests: list[Manifest]) -> Iterator[Manifest]:
    for _, spec in pod_specs(manifests):
        for container in containers(spec):
            for variable in container["env"]:
                if "valueFrom" in variable:
                    yield variable["valueFrom"]["secretKeyRef"]


@every_matrix_entry
def test_a_secret_of_ones_own_need_not_name_a_region(values: Mapping[str, Any]) -> None:
    for reference in secret_references(render(values)):
        if "REGION" in reference["key"]:
            assert reference["optional"] is True


def test_the_region_reaches_whoever_reads_the_secret() -> None:
    data = find(render({"s3": {"region": "eu-central-1"}}), "Secret", "detsweep-s3")["data"]
    for key in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        assert base64.b64decode(data[key]).decode() == "eu-central-1"


def test_nothing_keeps_a_drain_waiting_unless_it_is_asked_for() -> None:
    assert not any(m["kind"] == "PodDisruptionBudget" for m in render())
    budgets = [
        manifest["spec"]
        for manifest in render({"podDisruptionBudget": {"enabled": True}})
        if manifest["kind"] == "PodDisruptionBudget"
    ]
    assert len(budgets) == 2
    assert {budget["unhealthyPodEvictionPolicy"] for budget in budgets} == {"AlwaysAllow"}


@every_matrix_entry
def test_an_upgrade_and_a_rollback_start_nothing_of_their_own(values: Mapping[str, Any]) -> None:
    """A hook would have to be scheduled, and a node that is being drained takes no new pod."""
    for manifest in render(values):
        hooks = manifest["metadata"].get("annotations", {}).get("helm.sh/hook")
        assert hooks in {None, "test"}, manifest["metadata"]["name"]


def test_the_job_has_another_name_when_it_has_something_else_to_do() -> None:
    def job(**changed: Any) -> str:
        values = {"s3": {**EXTERNAL["s3"], **changed}}
        (name,) = (m["metadata"]["name"] for m in render(values) if m["kind"] == "Job")
        return str(name)

    assert job() == job()
    assert job(existingSecret="company-s3", bucket="detsweep") == job()
    others = {job(bucket="other"), job(region="eu-central-1"), job(existingSecret="other")}
    assert len({job(), *others}) == 4


def test_a_pod_that_cannot_start_is_replaced_by_a_rollback() -> None:
    """A StatefulSet whose policy is OrderedReady waits for ever for a pod that never gets ready."""
    for manifest in render():
        if manifest["kind"] == "StatefulSet":
            assert manifest["spec"]["podManagementPolicy"] == "Parallel"


def test_test_pods_are_removed_when_they_succeeded() -> None:
    pods = [m for m in render() if m["kind"] == "Pod"]
    assert len(pods) == 2
    for pod in pods:
        policy = pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert set(policy.split(",")) == {"before-hook-creation", "hook-succeeded"}


HELMS_TIMEOUT_S = 300
"""What Helm waits for a hook, where its --timeout is not given."""


def test_what_waits_gives_up_before_helm_does() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert values["setup"]["timeoutSeconds"] < HELMS_TIMEOUT_S
    # There are two test pods, one after the other.
    assert 2 * values["test"]["timeoutSeconds"] < HELMS_TIMEOUT_S


def test_a_setting_that_is_a_large_number_stays_one() -> None:
    manifests = render({"postgresql": {"settings": {"max_wal_size": 100000000, "seq": 1.5}}})
    spec = find(manifests, "StatefulSet", "detsweep-postgresql")["spec"]["template"]["spec"]
    assert {"max_wal_size=100000000", "seq=1.5"} <= set(spec["containers"][0]["args"])


def test_external_services_start_no_server() -> None:
    manifests = render(EXTERNAL)
    assert not any(m["kind"] in {"StatefulSet", "PodDisruptionBudget"} for m in manifests)
    dashboard = find(manifests, "Deployment", "detsweep-dashboard")["spec"]["template"]["spec"]
    url = "postgresql+psycopg2://detsweep@db.example.com:6432/detsweep"
    assert dashboard["containers"][0]["args"][0] == url


def test_only_the_ports_of_the_services_are_open() -> None:
    everyone: dict[str, Any] = {"networkPolicy": {"dashboardFrom": [{"podSelector": {}}]}}
    policies = [m["spec"] for m in render(everyone) if m["kind"] == "NetworkPolicy"]
    opened = sorted(policy["ingress"][0]["ports"][0]["port"] for policy in policies)
    assert opened == [5432, 8080, 8333]
    servers = [policy for policy in policies if policy["ingress"][0]["ports"][0]["port"] != 8080]
    assert all(policy["egress"] == [] for policy in servers)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"s3": {"enabled": False}}, "existingSecret"),
    ({"postgresql": {"enabled": False, "existingSecret": "db"}}, "host"),
    ({"s3": {"bucket": "Detsweep_Runs"}}, "bucket"),
    ({"s3": {"bucket": "runs..may"}}, "bucket"),
    ({"s3": {"bucket": "192.168.0.1"}}, "bucket"),
    ({"s3": {"bucket": "runs-"}}, "bucket"),
    ({"s3": {"region": "eu central"}}, "region"),
    ({"s3": {"runAsUser": 0}}, "runAsUser"),
    ({"s3": {"runAsUser": 2**31}}, "runAsUser"),
    ({"s3": {"existingSecret": "a..b"}}, "existingSecret"),
    ({"s3": {"existingSecret": "a" * 254}}, "existingSecret"),
    ({"s3": {"nodeSelector": {"disk": "two words"}}}, "nodeSelector"),
    ({"s3": {"nodeSelector": {"two words": "ssd"}}}, "nodeSelector"),
    ({"s3": {"tolerations": [{"key": "gpu", "operator": "Is"}]}}, "tolerations"),
    ({"s3": {"affinity": {"nodeAfinity": {}}}}, "affinity"),
    ({"s3": {"storage": {"size": "0Gi"}}}, "size"),
    ({"s3": {"storage": {"size": "10GB"}}}, "size"),
    ({"s3": {"storage": {"storageClass": "Fast Disks"}}}, "storageClass"),
    ({"s3": {"resources": {"limits": {"memory": "2 GB"}}}}, "memory"),
    ({"s3": {"resources": {"requests": {"cpu": -1}}}}, "cpu"),
    ({"s3": {"image": "weed:"}}, "image"),
    ({"s3": {"image": "Registry/Weed"}}, "image"),
    ({"s3": {"image": "weed@sha256:abc"}}, "image"),
    ({"postgresql": {"user": "a b"}}, "user"),
    ({"postgresql": {"user": "postgres"}}, "user"),
    ({"postgresql": {"user": "pg_trials"}}, "user"),
    ({"postgresql": {"database": "template1"}}, "database"),
    ({"postgresql": {"storage": {"size": "ten gigabytes"}}}, "size"),
    ({"postgresql": {"external": {"host": "postgresql://db.example.com"}}}, "host"),
    ({"postgresql": {"external": {"host": "db.example.com:5432"}}}, "host"),
    ({"postgresql": {"external": {"port": 70000}}}, "port"),
    ({"postgresql": {"settings": {"shared buffers": "1GB"}}}, "shared buffers"),
    ({"dashbord": {"enabled": False}}, "dashbord"),
    ({"volumes": {"data": {"accessModes": []}}}, "accessModes"),
    ({"imagePullPolicy": "Sometimes"}, "imagePullPolicy"),
    ({"imagePullSecrets": [{"name": "Registry"}]}, "imagePullSecrets"),
    ({"priorityClassName": "High Priority"}, "priorityClassName"),
    ({"podLabels": {"team": "receipts & more"}}, "podLabels"),
    ({"podLabels": {"team": "a" * 64}}, "podLabels"),
    ({"podLabels": {"app.kubernetes.io/component": "mine"}}, "podLabels"),
    ({"podAnnotations": {"a b": "c"}}, "podAnnotations"),
    ({"serviceAccount": {"name": "Storage"}}, "serviceAccount"),
    ({"networkPolicy": {"from": [{"podSelektor": {}}]}}, "from"),
    ({"networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}}, "cidr"),
    ({"setup": {"timeoutSeconds": 0}}, "timeoutSeconds"),
]


@pytest.mark.parametrize(("values", "complaint"), REFUSED)
def test_values_that_would_not_work_are_refused(values: dict[str, Any], complaint: str) -> None:
    helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    with pytest.raises(helm.HelmError, match=complaint):
        render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"s3": {"bucket": "runs.may-2026"}},
        {"s3": {"image": "registry.example.com:5000/team/weed:4.48@sha256:" + "0a" * 32}},
        {"s3": {"storage": {"size": "1.5Ti"}}},
        {"s3": {"storage": {"size": 10737418240}}},
        {"s3": {"resources": {"limits": {"cpu": 2, "memory": "1e9", "example.com/nic": 1}}}},
        {"s3": {"tolerations": [{"operator": "Exists"}]}},
        {"postgresql": {"external": {"host": "10.0.0.7"}}},
        {"networkPolicy": {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}},
        {"podLabels": {"team": ""}},
    ],
)
def test_values_that_work_are_taken(values: dict[str, Any]) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="it is not installed")
    for manifest in render(values):
        schemas.validate(manifest, KUBERNETES[-1], strict=True)


def test_a_limit_can_be_taken_away() -> None:
    manifests = render({"s3": {"resources": {"limits": {"cpu": None}}}})
    spec = find(manifests, "StatefulSet", "detsweep-s3")["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"].keys() == {"memory"}


def test_the_schema_knows_and_explains_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert list(_unexplained(schema, schema, values, "")) == []


def _unexplained(
    root: Mapping[str, Any], schema: Mapping[str, Any], value: Any, path: str
) -> Iterator[str]:
    """Paths below `value` that the schema does not describe, or not in words."""
    parts = [schema, *schema.get("allOf", [])]
    parts += [
        root["definitions"][part["$ref"].rpartition("/")[2]] for part in parts if "$ref" in part
    ]
    if path and not any("description" in part for part in parts):
        yield path
    properties = {k: v for part in parts for k, v in part.get("properties", {}).items()}
    if properties:
        for key, inner in value.items():
            if key in properties:
                yield from _unexplained(root, properties[key], inner, f"{path}.{key}")
            else:
                yield f"{path}.{key}"

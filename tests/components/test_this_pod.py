"""A pod's own labels, by Kubernetes' own client, on a server that speaks its API."""

import pytest
from kubernetes import client

from components import this_pod
from components.this_pod import POD, POD_UID, label_this_pod, owner_reference
from tests.components.cluster import NAMESPACE, Cluster, cluster, refusal


def in_a_pod(server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    api = client.ApiClient(client.Configuration(host=server.url))
    monkeypatch.setattr(this_pod, "connect", lambda: (api, NAMESPACE))
    monkeypatch.setenv(POD, "detsweep-abc-impl-1")


def test_a_pod_tells_the_cluster_which_agent_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster() as server:
        in_a_pod(server, monkeypatch)
        label_this_pod("detsweep.io/agent", 3)
    assert server.labels == {"detsweep.io/agent": "3"}


def test_a_pod_that_may_not_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster() as server:
        server.faults["PATCH pods"] = [refusal(403, "no")]
        in_a_pod(server, monkeypatch)
        label_this_pod("detsweep.io/agent", 3)
    assert "no label detsweep.io/agent=3: Forbidden" in capsys.readouterr().out


def test_without_a_token_or_outside_of_a_cluster_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    label_this_pod("detsweep.io/agent", 3)
    monkeypatch.setenv(POD, "detsweep-abc-impl-1")
    label_this_pod("detsweep.io/agent", 3)
    assert not capsys.readouterr().out


def test_a_pod_owns_what_it_makes_once_the_pipeline_has_named_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(POD, raising=False)
    monkeypatch.setenv(POD_UID, "1-2-3")
    assert owner_reference() is None
    monkeypatch.setenv(POD, "detsweep-abc-impl-1")
    expected = {"apiVersion": "v1", "kind": "Pod", "name": "detsweep-abc-impl-1", "uid": "1-2-3"}
    assert owner_reference() == expected

"""What the tests on a cluster rely on: their namespaces are strict, and gone afterwards."""

from collections.abc import Callable

import pytest

from tests.cluster.cluster import Cluster, CommandError, Namespace, eventually

pytestmark = pytest.mark.control_plane


def pod(name: str, **security: object) -> dict[str, object]:
    container = {"name": "main", "image": "registry.k8s.io/pause:3.10", "securityContext": security}
    spec = {"containers": [container], "nodeSelector": {"detsweep.io/no": "node"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_pod_that_is_not_restricted_is_refused(namespace: Namespace) -> None:
    with pytest.raises(CommandError, match='violates PodSecurity "restricted'):
        namespace.create(pod("loose"))
    assert namespace.pods() == []


def test_a_check_on_the_server_leaves_nothing(namespace: Namespace) -> None:
    strict = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "pod/strict created (server dry run)" in namespace.apply(
        pod("strict", **strict), dry_run=True
    )
    assert namespace.pods() == []


def test_each_test_has_a_namespace_of_its_own(
    cluster: Cluster, new_namespace: Callable[..., Namespace]
) -> None:
    first, second = new_namespace(), new_namespace(team="text")
    assert first.name != second.name
    assert cluster.get("namespace", second.name)["metadata"]["labels"]["team"] == "text"


def test_waiting_shows_why_it_was_in_vain(namespace: Namespace) -> None:
    with pytest.raises(pytest.fail.Exception, match=r'a job: (?s:.*)jobs.batch "none" not found'):
        eventually(lambda: namespace.get("job", "none"), "a job", patience=0)

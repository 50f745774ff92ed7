"""What the tests on a real cluster share. They run by `make test-cluster` alone.

A test says by a marker what it needs: `control_plane` an API server with its controllers, `node` a
node whose pods really run. It touches namespaces of its own alone, which are removed afterwards.
What reaches further, such as a drained node, needs the fixture `own_cluster`.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from detector import __version__
from tests.cluster.cluster import RESTRICTED, Cluster, Namespace, eventually, find_cluster, is_mine

LEVELS = ("control_plane", "node")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that names no level would be chosen by none."""
    for item in items:
        inside = "tests/cluster/" in item.path.as_posix()
        if inside and not any(item.get_closest_marker(level) for level in LEVELS):
            raise pytest.UsageError(f"{item.nodeid} is marked with none of {', '.join(LEVELS)}")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that KUBECONFIG points at; skips the test where none answers."""
    return find_cluster()


@pytest.fixture(autouse=True)
def _node_that_its_marker_asks_for(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("node"):
        cluster: Cluster = request.getfixturevalue("cluster")
        if not cluster.ready_nodes():
            pytest.skip("no node of the cluster is ready")


@pytest.fixture(scope="session")
def _leaving(cluster: Cluster) -> Iterator[list[str]]:
    """Namespaces that are being deleted: it takes seconds, so they are waited for at the end."""
    names: list[str] = []
    yield names
    for name in names:
        listed = ("get", "namespace", name, "--ignore-not-found")
        eventually(partial(_is_empty, cluster, *listed), f"{name} is gone")


@pytest.fixture
def new_namespace(cluster: Cluster, _leaving: list[str]) -> Iterator[Callable[..., Namespace]]:
    """Makes namespaces that enforce the restricted Pod Security Standard, and removes them."""
    made: list[Namespace] = []

    def make(**labels: str) -> Namespace:
        found = Namespace(cluster, f"detsweep-test-{uuid.uuid4().hex[:8]}")
        metadata = {"name": found.name, "labels": {**RESTRICTED, **labels}}
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        made.append(found)
        # Pods are refused until the namespace has its service account.
        eventually(lambda: found.get("serviceaccount", "default"), f"{found.name} is ready")
        return found

    yield make
    for each in made:
        # Pods with a long grace period would hold the namespace for as long.
        for kind in ("jobs", "pods"):
            each.kubectl("delete", kind, "--all", "--wait=false", "--grace-period=0", "--force")
        cluster.kubectl("delete", "namespace", each.name, "--wait=false")
        _leaving.append(each.name)


@pytest.fixture
def namespace(new_namespace: Callable[..., Namespace]) -> Namespace:
    """A namespace of the test's own."""
    return new_namespace()


@pytest.fixture
def own_cluster(cluster: Cluster) -> Cluster:
    """The cluster, for a test that touches nodes: somebody has to have allowed it."""
    if not is_mine():
        pytest.skip("DETSWEEP_TEST_CLUSTER_IS_MINE=1 allows to touch nodes; it is not set")
    return cluster


@pytest.fixture
def needs(cluster: Cluster) -> Callable[[str], None]:
    """Skips the test where the API lacks a resource: `needs("trainjobs.trainer.kubeflow.org")`."""

    def check(resource: str) -> None:
        if not cluster.serves(resource):
            pytest.skip(f"the cluster has no {resource}")

    return check


@pytest.fixture
def trainer(needs: Callable[[str], None]) -> None:
    """Skips the test where no Kubeflow Trainer is installed."""
    needs("trainjobs.trainer.kubeflow.org")


@pytest.fixture
def jobset(needs: Callable[[str], None]) -> None:
    """Skips the test where JobSet is not installed."""
    needs("jobsets.jobset.x-k8s.io")


@pytest.fixture
def kueue(needs: Callable[[str], None]) -> None:
    """Skips the test where Kueue is not installed."""
    needs("clusterqueues.kueue.x-k8s.io")


@pytest.fixture(scope="session")
def trainer_image(cluster: Cluster) -> str:
    """The trainer's image: DETSWEEP_TEST_IMAGE, which the nodes may have to pull, or the one of
    this version where it is on the nodes; skips the test where it is not."""
    if named := os.environ.get("DETSWEEP_TEST_IMAGE"):
        return named
    image = f"localhost/detsweep/trainer:{__version__}"
    if not cluster.has_image(image):
        pytest.skip(f"{image} is not on the node: load it, or name one by DETSWEEP_TEST_IMAGE")
    return image


def _is_empty(cluster: Cluster, *words: str) -> bool:
    """Whether kubectl has nothing to show."""
    return not cluster.kubectl(*words)

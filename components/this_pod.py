"""The pod that a step runs in, and its cluster."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from detector.console import say
from detector.steps.child import GRACE_S

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

POD = "DETSWEEP_POD"
"""The environment variable by which a pod knows its name: Kubernetes sets it."""
POD_UID = "DETSWEEP_POD_UID"
"""The same for its id, which no other pod ever has."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT_S = 10


_GRACE_S = 0.0
"""After SIGTERM Kubeflow's launcher ends at once, and Argo's first process, which looks once a
second, ends the container then. So there is half a second on average: enough to release a trial,
not to end an epoch."""


def grace_seconds() -> float:
    """How long the work of this step may take to end after SIGTERM."""
    return _GRACE_S if os.environ.get(POD) else GRACE_S


def connect() -> "tuple[ApiClient, str]":
    """The cluster, by the service account of this pod, and the pod's namespace.

    Raises:
        ConfigException: this is no pod, or it has no token.
    """
    from kubernetes import client, config

    settings = client.Configuration()
    settings.retries = False  # Whoever asks knows how often, and hears SIGTERM in between.
    config.load_incluster_config(client_configuration=settings)
    return client.ApiClient(settings), _NAMESPACE_FILE.read_text(encoding="utf-8")


def owner_reference() -> dict[str, object] | None:
    """This pod as the owner of an object: with it, Kubernetes deletes the object. None outside of a
    pod of the pipeline."""
    name, uid = os.environ.get(POD), os.environ.get(POD_UID)
    if not name or not uid:
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}


def label_this_pod(label: str, value: object) -> None:
    """Set a label of this pod, by which `kubectl logs --selector` finds it.

    Kubeflow gives all pods of a loop the same labels, so each adds its own number. Outside of a
    cluster there is nothing to do; where it is not allowed the step goes on without.
    """
    pod = os.environ.get(POD)
    if not pod:
        return
    # Half a second to import, which a step on a machine of one's own saves.
    import urllib3
    from kubernetes import client, config

    try:
        api, namespace = connect()
        change = {"metadata": {"labels": {label: str(value)}}}
        client.CoreV1Api(api).patch_namespaced_pod(
            pod, namespace, change, _request_timeout=_TIMEOUT_S
        )
    except config.ConfigException:
        return
    except (client.ApiException, urllib3.exceptions.HTTPError) as error:
        say(f"no label {label}={value}: {getattr(error, 'reason', error)}")

"""The pod that a step runs in, and its cluster."""

import os
from collections.abc import Mapping
from pathlib import Path

import urllib3
from kubernetes import client, config
from kubernetes.client import ApiException

from detector.console import say

POD = "DETSWEEP_POD"
"""The environment variable in which the pipeline has Kubernetes tell a pod its name."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_TIMEOUT_S = 10


def connect() -> tuple[client.ApiClient, str]:
    """The cluster, by the service account of this pod, and the pod's namespace.

    Raises:
        ConfigException: this is no pod, or it has no token.
    """
    config.load_incluster_config()
    return client.ApiClient(), _NAMESPACE_FILE.read_text()


def label_this_pod(label: str, value: object) -> None:
    """Set a label of this pod, by which `kubectl logs --selector` finds it.

    Kubeflow gives all pods of a loop the same labels, so each adds its own number. Outside of a
    cluster there is nothing to do; where it is not allowed the step goes on without.
    """
    pod = os.environ.get(POD)
    if not pod:
        return
    try:
        api, namespace = connect()
        set_labels(api, namespace, pod, {label: str(value)})
    except config.ConfigException:
        return
    except (ApiException, urllib3.exceptions.HTTPError) as error:
        say(f"no label {label}={value}: {getattr(error, 'reason', error)}")


def set_labels(api: client.ApiClient, namespace: str, pod: str, labels: Mapping[str, str]) -> None:
    """Give a pod more labels.

    Raises:
        ApiException: the cluster refuses.
        HTTPError: it does not answer.
    """
    change = {"metadata": {"labels": dict(labels)}}
    client.CoreV1Api(api).patch_namespaced_pod(pod, namespace, change, _request_timeout=_TIMEOUT_S)

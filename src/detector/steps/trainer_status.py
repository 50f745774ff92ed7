"""How far a fold is, for Kubeflow Trainer to show, where its gate TrainJobStatus is on.

It names a server to the pods of a TrainJob then. A training never waits for that server, nor fails
by it.
"""

import json
import os
import ssl
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from detector.console import say

URL, CA, TOKEN = (f"KUBEFLOW_TRAINER_SERVER_{name}" for name in ("URL", "CA_CERT", "TOKEN"))
_TIMEOUT_S = 5
_METRIC_LENGTH = 64


def show_progress(epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
    """Say that `epoch` of `epochs` is finished; without the Trainer's server, nothing is done.

    Args:
        metrics: of the epoch; `seconds` is how long it took.
    """
    if not os.environ.get(URL):
        return
    status = {
        "progressPercentage": 100 * epoch // epochs,
        "estimatedRemainingSeconds": round(metrics.get("seconds", 0) * (epochs - epoch)),
        "metrics": [
            {"name": name[:_METRIC_LENGTH], "value": f"{value:.6g}"}
            for name, value in metrics.items()
        ],
        "lastUpdatedTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }
    try:
        _send({"trainerStatus": status})
    except (OSError, ValueError) as error:
        say(f"Kubeflow Trainer does not take the progress: {error}")


def _send(body: Mapping[str, object]) -> None:
    token = Path(os.environ[TOKEN]).read_text(encoding="utf-8").strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ[URL], json.dumps(body).encode(), headers)
    trusted = ssl.create_default_context(cafile=os.environ.get(CA))
    urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=trusted).close()

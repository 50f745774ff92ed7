"""What the steps have done, from the lines that they print; where those can't be had, from what
they have put into the run store."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import urllib3
from kubernetes import client, config

from detector.config.metrics import METRIC
from detector.errors import StoreError
from detector.steps.run import Run
from detector.steps.training import Training
from detector.storage.object_store import ENDPOINT, REGION
from pipelines.kfp_local import without_executor_log
from pipelines.submit.server import Kubeflow

_EPOCH = re.compile(r"epoch (\d+(?:/\d+)?) · \S+ (\S+)$")
_TRIAL = re.compile(r"trial \d+ · ")
_OF_A_POD = re.compile(r"^\S+ │ ")
_ITSELF = re.compile(r"(?:agent-\d+|fold \d+|select|the ensemble) (?=was |ended |is )")
_WORTH_A_LINE = re.compile(
    r"waiting|gives up|trial \d+ left out fold|.* answers again, after \d+ s$"
)
_LAUNCHER = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+\] ")
_ENGINE = re.compile(r"time=\S+ level=INFO .*\bargo=true")
_INFO = "I"
_TIMEOUT_S = (5, 30)
_S3_PLACES = (ENDPOINT, REGION, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class News:
    """Something that a step has done.

    Attributes:
        who: "agent 1", "fold 2", ….
        what: for people: "trial 3, epoch 4/20, 0.9100".
        is_progress: whether something is stored by now that was not before.
    """

    who: str
    what: str
    is_progress: bool

    @property
    def deed(self) -> str:
        """What was done, whoever did it: any agent may go on with a trial."""
        return self.what if self.what.startswith("trial ") else str(self)

    def __str__(self) -> str:
        return f"{self.who}: {self.what}"


def news_of(who: str, line: str) -> News | None:
    """What a step's line says to somebody who waits; None where it says nothing to them.

    >>> str(news_of("agent 1", "trial 3 · epoch 4/20 · val/hmean 0.9100"))
    'agent 1: trial 3, epoch 4/20, 0.9100'
    >>> news_of("fold 2", "resumed after epoch 3 and 12 steps") is None
    True
    """
    text = _OF_A_POD.sub("", line.strip())
    trial = _TRIAL.match(text)
    epoch = _EPOCH.search(text)
    if epoch and epoch.start() == (trial.end() if trial else 0):
        begin = text[: epoch.start()].replace(" · ", ", ")
        return News(who, f"{begin}epoch {epoch[1]}, {epoch[2]}", is_progress=True)
    itself = _ITSELF.match(text)
    if trial or itself or _WORTH_A_LINE.match(text):
        said = text[itself.end() :] if itself else text
        return News(who, said.replace(" · ", ", "), is_progress=False)
    return None


def step_lines(text: str) -> list[str]:
    """The lines that a step has printed, without those of Kubeflow around them; what these warn of
    stays."""
    return list(without_executor_log(_without_launcher(text.splitlines())))


def _without_launcher(lines: Iterable[str]) -> Iterator[str]:
    in_json = False
    for line in lines:
        if in_json:
            in_json = line != "}"
        elif mark := _LAUNCHER.match(line):
            in_json = line.endswith("{")
            if line[0] != _INFO:
                yield line[mark.end() :]
        elif not _ENGINE.match(line):
            yield line


class Logs(Protocol):
    """A place that has the lines of pods."""

    def read(self, pod: str, namespace: str) -> str | None:
        """All that the pod's step has printed so far; None where this place does not have it."""


@dataclass(frozen=True)
class ApiLogs:
    """By Kubeflow's API."""

    kubeflow: Kubeflow
    run_id: str

    def read(self, pod: str, namespace: str) -> str | None:  # noqa: ARG002  (as of `Logs`)
        """What a pod has printed; None where that cannot be had."""
        return self.kubeflow.log(self.run_id, pod)


@dataclass(frozen=True)
class UiLogs:
    """By the server of Kubeflow's pages."""

    kubeflow: Kubeflow

    def read(self, pod: str, namespace: str) -> str | None:
        """What a pod has printed; None where that cannot be had."""
        return self.kubeflow.ui_log(pod, namespace)


@dataclass
class ClusterLogs:
    """By the cluster's own API, where this person may use that: as `kubectl logs` does."""

    _pods: client.CoreV1Api | None = None

    @classmethod
    def of_kubeconfig(cls) -> "ClusterLogs":
        """Of the cluster that KUBECONFIG points at."""
        named = os.environ.get("KUBECONFIG")
        try:
            return cls(client.CoreV1Api(config.new_client_from_config(config_file=named)))
        except (config.ConfigException, OSError):
            return cls()

    def read(self, pod: str, namespace: str) -> str | None:
        """What a pod has printed; None where that cannot be had."""
        if self._pods is None:
            return None
        with contextlib.suppress(client.ApiException, urllib3.exceptions.HTTPError):
            answer = self._pods.read_namespaced_pod_log(
                pod,
                namespace,
                container="main",
                _request_timeout=_TIMEOUT_S,
                _preload_content=False,
            )
            return str(answer.data.decode(errors="replace"))
        return None


@dataclass
class PodLines:
    """The lines of pods, each handed out once.

    Attributes:
        places: where they may be had. The one that had the last is asked first.
    """

    places: list[Logs]
    _marks: dict[str, "_Mark"] = field(default_factory=dict)

    def new(self, pod: str, namespace: str) -> list[str] | None:
        """Those that have come since the last call; None where no place has the pod's."""
        text = self.read(pod, namespace)
        if text is None:
            return None
        lines = text.split("\n")[:-1]
        mark = self._marks.get(pod)
        if lines:
            self._marks[pod] = _Mark(len(lines), lines[-1])
        return mark.after(lines) if mark else lines

    def forget(self, pod: str) -> None:
        """Begin with the pod's first line again."""
        self._marks.pop(pod, None)

    def read(self, pod: str, namespace: str) -> str | None:
        """All of a pod's text."""
        for place in self.places:
            text = place.read(pod, namespace)
            if text is not None:
                self.places.remove(place)
                self.places.insert(0, place)
                return text
        return None


@dataclass(frozen=True)
class _Mark:
    """How far a log was read: so many lines, and the last of them."""

    count: int
    last: str

    def after(self, lines: list[str]) -> list[str]:
        """A node keeps the end of a long log alone, where a line's number is another.

        >>> _Mark(2, "b").after(["a", "b", "c"]), _Mark(9, "b").after(["b", "c"])
        (['c'], ['c'])
        """
        if len(lines) >= self.count and lines[self.count - 1] == self.last:
            return lines[self.count :]
        places = [number for number, line in enumerate(lines) if line == self.last]
        return lines[places[-1] + 1 :] if places else lines


@dataclass
class StoreNews:
    """What trainings have put into the run store. It does not say which agent did."""

    run: Run
    _said: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, url: str) -> "StoreNews":
        """Of the run store at `url`.

        Raises:
            StoreError: there is none, or nothing here says where its S3 service is.
        """
        # Without one the bucket would be looked for at Amazon's.
        if url.startswith("s3://") and not any(map(os.environ.get, _S3_PLACES)):
            raise StoreError(
                "nothing says which S3 service that is",
                where=url,
                remedy=f"set {ENDPOINT}, and the credentials, to follow by the store",
            )
        return cls(Run(url, patience_s=0))

    def new(self) -> list[News]:
        """The latest epoch of each training that has a new one.

        Raises:
            StoreError: the store can't be read from here.
        """
        return [news for training in self.run.trainings() if (news := self._of(training))]

    def _of(self, training: Training) -> News | None:
        history = training.history
        last = max(history, default=0)
        if last <= self._said.get(training.name, 0):
            return None
        self._said[training.name] = last
        value = history[last].get(METRIC)
        shown = "" if value is None else f", {value:.4f}"
        return News(training.name, f"epoch {last}{shown}", is_progress=True)

"""The lines of a TrainJob's pods, as they come."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kubernetes import client

from components.train_jobs.cluster import ERRORS, message_of

_TIMEOUT_S = (5.0, 600.0)
"""To connect, and for the next line: then it is asked again, in case the connection is dead."""
_LAST_WORDS_S = 5.0


class Logs:
    """The lines of each pod.

    Args:
        write: takes them.
        tail: how many of a pod's earlier lines are written; None for all.
    """

    def __init__(
        self,
        pods: client.CoreV1Api,
        namespace: str,
        write: Callable[[str], None],
        tail: int | None,
    ):
        self._pods, self._namespace, self._write, self._tail = pods, namespace, write, tail
        self._heard: dict[str, _PodLog] = {}

    def follow(self, pods: Iterable[Any]) -> None:
        """Listen to those pods that have started; again where a connection broke off."""
        for pod in pods:
            name = pod.metadata.name
            if pod.status.phase in ("Running", "Succeeded", "Failed"):
                log = self._heard.setdefault(name, _PodLog(self, name))
                log.listen(pod.status.phase != "Running")

    def join(self) -> None:
        """Wait a little for the last lines."""
        until = time.monotonic() + _LAST_WORDS_S
        for log in self._heard.values():
            log.join(max(0.0, until - time.monotonic()))

    def read(self, pod: str, whole: bool) -> Iterator[str]:
        """A pod's lines until it ends, each begun by its time."""
        more = {} if whole or self._tail is None else {"tail_lines": self._tail}
        answer = self._pods.read_namespaced_pod_log(
            pod,
            self._namespace,
            follow=True,
            timestamps=True,
            _preload_content=False,
            _request_timeout=_TIMEOUT_S,
            **more,
        )
        try:
            yield from lines_of(answer.stream())
        finally:
            answer.release_conn()

    def write(self, pod: str, line: str) -> None:
        """Take a line of a pod."""
        self._write(f"{pod} │ {line}")


class _PodLog:
    """One pod's. A thread reads it, as reading waits; it keeps no process alive."""

    def __init__(self, logs: Logs, pod: str):
        self._logs, self._pod = logs, pod
        self._thread: threading.Thread | None = None
        self._is_last = False
        self._heard_until = ""
        self._trouble = ""

    def listen(self, has_ended: bool) -> None:
        """Read on, unless that is done already, or all was read after the pod's end."""
        if self._is_last or (self._thread and self._thread.is_alive()):
            return
        self._is_last = has_ended
        self._thread = threading.Thread(
            target=self._read_on, name=f"log of {self._pod}", daemon=True
        )
        self._thread.start()

    def join(self, seconds: float) -> None:
        if self._thread:
            self._thread.join(seconds)

    def _read_on(self) -> None:
        try:
            for line in self._logs.read(self._pod, whole=bool(self._heard_until)):
                time_of_line, _, text = line.partition(" ")
                # Times are of one length, to the nanosecond: they have the order of their letters.
                if time_of_line > self._heard_until:
                    self._heard_until = time_of_line
                    self._logs.write(self._pod, text)
        except ERRORS as error:
            if self._trouble != (trouble := message_of(error)):
                self._trouble = trouble
                self._logs.write(self._pod, f"the log broke off: {trouble}")


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    r"""
    >>> list(lines_of([b"epo", b"ch 1\nepoch", b" 2\n", b"rest"]))
    ['epoch 1', 'epoch 2', 'rest']
    """
    begun = b""
    for chunk in chunks:
        *whole, begun = (begun + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if begun:
        yield begun.decode(errors="replace")

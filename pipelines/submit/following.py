"""Following a run: what its steps do, for a person, and another try while it gets on."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from detector.console import say
from detector.errors import DetsweepError
from detector.patience import Patience
from pipelines.submit.errors import ServerLostError, SubmitError
from pipelines.submit.progress import (
    ApiLogs,
    ClusterLogs,
    Logs,
    PodLines,
    StoreNews,
    UiLogs,
    news_of,
    step_lines,
)
from pipelines.submit.run_state import Pod, RunState, Step
from pipelines.submit.server import Kubeflow

POLL_S = 10.0
PATIENCE_S = 600.0
"""A server that restarts is waited for; the run goes on meanwhile."""
RETRY_PATIENCE_S = 60.0
"""Pods of a run that has failed may take so long to end, and until then it can't be tried again."""

_LAST_LINES = 15
_UNHEARD = 3
_STEPS_SHOWN = 3
_BEGINNING = frozenset({"ContainerCreating", "PodInitializing"})
_WORDS = {"SUCCEEDED": "done", "SKIPPED": "done before"}


@dataclass
class Following:
    """One run, followed to its end.

    Args:
        retries: whether a run that failed is tried again while it gets on.
        default_store: of a run that names none.
        poll_s: between two questions.
    """

    kubeflow: Kubeflow
    run_id: str
    retries: bool = True
    default_store: str = ""
    poll_s: float = POLL_S
    patience_s: float = PATIENCE_S
    retry_patience_s: float = RETRY_PATIENCE_S

    def to_its_end(self) -> None:
        """Say what the run does until it has succeeded.

        Raises:
            RunGoneError: it was deleted.
            SubmitError: it failed and further tries did not help, it was terminated, or the server
                did not answer for a long while.
        """
        narrator = Narrator(self._lines(), self.default_store)
        run = self._run()
        narrator.say_news(run, is_first_look=True)
        before = set(narrator.deeds)
        while True:
            if run.has_succeeded:
                say(f"run {self.run_id}: succeeded")
                return
            if run.has_ended:
                gained, before = narrator.deeds - before, set(narrator.deeds)
                if not (gained and self.retries and not run.was_terminated):
                    raise self._failure(run, narrator)
                self._retry(run, narrator)
            time.sleep(self.poll_s)
            run = self._run()
            narrator.say_news(run)

    def _run(self) -> RunState:
        return self._patience(self.patience_s).ask(self.kubeflow.run, self.run_id)

    def _patience(self, seconds: float) -> Patience:
        return Patience(
            f"Kubeflow Pipelines at {self.kubeflow.host}",
            lambda error: isinstance(error, ServerLostError),
            seconds,
            lambda error: error.problem if isinstance(error, DetsweepError) else str(error),
            longest_wait_s=max(self.poll_s, 0.2),
        )

    def _lines(self) -> PodLines:
        places: list[Logs] = [
            ClusterLogs.of_kubeconfig(),
            UiLogs(self.kubeflow),
            ApiLogs(self.kubeflow, self.run_id),
        ]
        return PodLines(places)

    def _retry(self, run: RunState, narrator: "Narrator") -> None:
        """Have the run go on.

        Raises:
            SubmitError: Kubeflow would not have it.
        """
        say(f"the run failed{_at(run.failed_steps)}; it had got on, and is tried again")
        try:
            self._patience(self.retry_patience_s).ask(self.kubeflow.retry, self.run_id)
        except SubmitError as error:
            # What was asked again had been done already, where the answer alone was lost.
            if self._shows_end_of(run):
                say(f"it can't be tried again: {error.problem}")
                raise self._failure(run, narrator) from error
        until = time.monotonic() + self.retry_patience_s
        while self._shows_end_of(run) and time.monotonic() < until:
            time.sleep(self.poll_s)

    def _shows_end_of(self, run: RunState) -> bool:
        """Kubeflow may need a moment until it says that the run goes on."""
        now = self._run()
        return now.has_ended and now.ended_at == run.ended_at

    def _failure(self, run: RunState, narrator: "Narrator") -> SubmitError:
        """The error of a run that has ended, after its last lines have been printed."""
        again = (
            f"`python -m pipelines submit …` with the same store_url goes on where it was; a "
            f"step's lines: {self.kubeflow.url(self.run_id)}"
        )
        if run.was_terminated:
            return SubmitError("the run was terminated", where=f"run {self.run_id}", remedy=again)
        for step in run.failed_steps[:_STEPS_SHOWN]:
            narrator.say_last_lines(step, run.namespace)
        reason = f": {run.error}" if run.error else ""
        return SubmitError(
            f"the run ended as {run.state.lower()}{_at(run.failed_steps)}{reason}",
            where=f"run {self.run_id}",
            remedy=again,
        )


def _at(steps: Iterable[Step]) -> str:
    named = [
        f"{step.name} ({reason})" if (reason := _last_reason(step)) else step.name for step in steps
    ]
    return f" at {', '.join(named)}" if named else ""


def _last_reason(step: Step) -> str:
    return step.pods[-1].reason if step.pods else ""


@dataclass
class Narrator:
    """Tells what is new about a run.

    Attributes:
        lines: where the steps' lines come from.
        deeds: the steps and the epochs that are done.
    """

    lines: PodLines
    default_store: str = ""
    deeds: set[str] = field(default_factory=set)
    _said: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _unheard: int = 0
    _store: StoreNews | None = None
    _store_failed: bool = False

    def say_news(self, run: RunState, is_first_look: bool = False) -> None:
        """Print what has changed.

        Args:
            is_first_look: a run may have done much before, and little of that is worth a line.
        """
        heard: list[bool] = []
        for step in run.steps:
            self._say_state(step)
            for pod in step.pods:
                self._begin_again(pod)
                lines = self._lines_of(pod, run.namespace)
                if pod.state == "RUNNING":
                    heard.append(lines is not None)
                self._say_lines(step, lines or [], is_first_look)
                self._say_trouble(step, pod)
            if step.is_done:
                self.deeds.add(step.name)
            if run.has_ended or step.is_done:
                self._say_end(step)
        is_silent = (heard or not any(step.pods for step in run.steps)) and not any(heard)
        self._unheard = self._unheard + 1 if is_silent and run.steps else 0
        # A pod that begins or ends has no lines for a moment.
        if self._unheard >= _UNHEARD:
            self._say_store(run)

    def _begin_again(self, pod: Pod) -> None:
        """Where a run is tried again, a pod in the place of one that was lost has its name."""
        if pod.name in self._read and pod.state in ("PENDING", "RUNNING"):
            self._read.remove(pod.name)
            self._said.pop(pod.name, None)
            self.lines.forget(pod.name)

    def _say_state(self, step: Step) -> None:
        state = step.pods[-1].state if step.pods else step.state
        if step.state == state == "RUNNING":
            self._say_once(step.name, step.state, f"{step.name}: running")

    def _say_end(self, step: Step) -> None:
        word = _WORDS.get(step.state, step.state.lower())
        self._say_once(step.name, step.state, f"{step.name}: {word}")

    def _say_trouble(self, step: Step, pod: Pod) -> None:
        """Why a pod waits, or that another has to take its place."""
        if pod.state == "PENDING" and pod.reason and pod.reason not in _BEGINNING:
            self._say_once(pod.name, pod.reason, f"{step.name}: waits: {pod.reason}")
        if pod.is_lost and step.state == "RUNNING":
            reason = f" ({pod.reason})" if pod.reason else ""
            self._say_once(pod.name, pod.state, f"{step.name}: its pod is lost{reason}")
        if pod.state == "RUNNING" and pod is not step.pods[0]:
            self._say_once(pod.name, pod.state, f"{step.name}: goes on in another pod")

    def _say_once(self, about: str, state: str, text: str) -> None:
        if self._said.get(about) != state:
            self._said[about] = state
            say(text)

    def _lines_of(self, pod: Pod, namespace: str | None) -> list[str] | None:
        """What is new of a pod's lines; None where they can't be had."""
        if namespace is None or pod.state == "PENDING" or pod.name in self._read:
            return None
        if pod.state != "RUNNING":
            self._read.add(pod.name)
        return self.lines.new(pod.name, namespace)

    def _say_lines(self, step: Step, lines: list[str], is_first_look: bool) -> None:
        news = [each for line in lines if (each := news_of(step.name, line))]
        self.deeds |= {each.deed for each in news if each.is_progress}
        if is_first_look:
            news = [] if step.is_done else news[-1:]
        for each in news:
            say(str(each))

    def _say_store(self, run: RunState) -> None:
        if self._store_failed:
            return
        url = str(run.parameters.get("store_url") or self.default_store)
        try:
            self._store = self._store or StoreNews.at(url)
            news = self._store.new()
        except DetsweepError as error:
            self._store_failed = True
            say(
                "epochs are not shown: neither the lines of the steps' pods nor the run store can "
                f"be read from here: {error}"
            )
            return
        self.deeds |= {each.deed for each in news}
        done = {step.name for step in run.steps if step.is_done}
        for each in news:
            if each.who not in done:
                say(str(each))

    def say_last_lines(self, step: Step, namespace: str | None) -> None:
        """Print the end of what a step has said."""
        if not step.pods:
            return
        pod = step.pods[-1]
        text = self.lines.read(pod.name, namespace) if namespace else None
        if text is None:
            say(f"{step.name}: the lines of its pod {pod.name} are gone")
            return
        lines = step_lines(text) or text.splitlines()
        say(f"{step.name} ended with these lines:")
        for line in lines[-_LAST_LINES:]:
            say(f"  │ {line}")

"""What the steps' lines say to somebody who waits."""

import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from detector.steps.agent import _say_event
from detector.storage.run_store import RunStore
from detector.sweep.agent import AgentEvent
from pipelines.submit.progress import PodLines, news_of, step_lines
from tests.pipelines.kubeflow import recorded


@pytest.mark.parametrize(
    ("who", "line", "said"),
    [
        ("agent 1", "trial 3 · epoch 4/20 · val/hmean 0.9100", "trial 3, epoch 4/20, 0.9100"),
        ("agent 1", "trial 3 · epoch 4 · acc no value", "trial 3, epoch 4, acc no value"),
        ("agent 2", "trial 3 · started lr=0.001 note=a · b", "trial 3, started lr=0.001 note=a, b"),
        ("fold 2", "epoch 4/20 · val/hmean 0.9100", "epoch 4/20, 0.9100"),
        ("fold 2", "fold-2-node-0-0 │ epoch 4/20 · val/hmean 0.9100", "epoch 4/20, 0.9100"),
        ("fold 2", "fold 2 is trained already", "is trained already"),
        (
            "agent 1",
            "agent-1 was killed by SIGKILL; started again",
            "was killed by SIGKILL; started again",
        ),
        (
            "agent 1",
            "waiting for the run store s3://x, up to 300 s: no",
            "waiting for the run store s3://x, up to 300 s: no",
        ),
        (
            "agent 1",
            "the run store s3://x answers again, after 39 s",
            "the run store s3://x answers again, after 39 s",
        ),
        (
            "agent 1",
            "gives up: it failed 3 trials in a row",
            "gives up: it failed 3 trials in a row",
        ),
    ],
)
def test_lines_of_steps_become_news(who: str, line: str, said: str) -> None:
    assert str(news_of(who, line)) == f"{who}: {said}"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "resumed after epoch 3 and 12 steps",
        "24 pages, 8 held-out pages, 3 folds",
        '        "epoch": 3',
        "[KFP Executor 2026-11-26 14:58:24,466 INFO]: Got executor_input:",
        "I1126 14:58:24.366021      16 main.go:139] Setting log level to: '1'",
    ],
)
def test_other_lines_are_none(line: str) -> None:
    assert news_of("agent 1", line) is None


def test_what_an_agent_prints_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    _say_event(AgentEvent("agent-1", "epoch", "epoch 2/6 · val/hmean 0.5880", trial=0, attempt=1))
    news = news_of("agent 1", capsys.readouterr().out)
    assert news is not None
    assert (str(news), news.is_progress) == ("agent 1: trial 0, epoch 2/6, 0.5880", True)


def test_an_epoch_of_a_trial_is_done_once_whoever_does_it() -> None:
    first = news_of("agent 1", "trial 3 · epoch 4/20 · val/hmean 0.9100")
    again = news_of("agent 2", "trial 3 · epoch 4/20 · val/hmean 0.9100")
    other = [news_of(f"fold {k}", "epoch 4/20 · val/hmean 0.9100") for k in (1, 2)]
    assert first
    assert again
    assert first.deed == again.deed
    assert len({news.deed for news in other if news}) == 2


def test_a_log_without_what_kubeflow_adds_is_the_steps_own_lines() -> None:
    logs = recorded("disrupted")[-1]["logs"]
    (init,) = [log for log in logs.values() if "`sweep_init`" in log]
    assert step_lines(init) == ["sweep 3auf1q3e created"]


def test_what_kubeflow_warns_of_stays() -> None:
    log = (
        "I1126 14:58:24.366021      16 main.go:139] Setting log level to: '1'\n"
        'time=2026-11-26T14:56:22.039Z level=INFO msg="capturing logs" argo=true\n'
        "F1126 15:16:23.263394      16 main.go:130] failed to execute component: NullValue\n"
    )
    assert step_lines(log) == ["failed to execute component: NullValue"]


class Growing:
    """A log whose last `kept` lines the node keeps."""

    def __init__(self, kept: int):
        self.lines: list[str] = []
        self.kept = kept

    def read(self, *_pod_and_namespace: str) -> str | None:
        return "".join(f"{line}\n" for line in self.lines[-self.kept :])


@pytest.mark.parametrize("kept", [10_000, 40])
def test_each_line_is_handed_out_once(kept: int) -> None:
    log, rng = Growing(kept), random.Random(0)
    pods = PodLines([log])
    said: list[str] = []
    for _ in range(100):
        log.lines += [f"line {len(log.lines) + n}" for n in range(rng.randrange(8))]
        said += pods.new("pod", "space") or []
    assert said == log.lines


def test_a_line_that_is_not_whole_yet_waits_for_its_end() -> None:
    texts = iter(["one\ntw", "one\ntwo\n"])
    pods = PodLines([SimpleNamespace(read=lambda pod, namespace: next(texts))])
    assert pods.new("pod", "space") == ["one"]
    assert pods.new("pod", "space") == ["two"]


def test_the_next_place_is_asked_where_one_does_not_have_a_pod() -> None:
    asked: list[str] = []

    def place(name: str, text: str | None) -> SimpleNamespace:
        def read(pod: str, namespace: str) -> str | None:
            asked.append(name)
            return text

        return SimpleNamespace(read=read)

    pods = PodLines([place("a", None), place("b", "line\n")])
    assert pods.new("pod", "space") == ["line"]
    assert pods.new("pod", "space") == []
    assert asked == ["a", "b", "b"]
    assert PodLines([place("a", None)]).new("pod", "space") is None


def test_names_of_a_store_are_those_directly_below(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for key in ("folds/0/result.json", "folds/1/result.json", "folds/1/deep/file", "other"):
        store.write(key, "x")
    assert store.names("folds") == ["0", "1"]
    assert store.names("sweeps/s/trials") == []

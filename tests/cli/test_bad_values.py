"""Every option and argument of every command, given what it cannot take: the command ends,
in a result or in one clear line, and never in a traceback.

Some of them run by default, by chance and always the same. `DETSWEEP_BAD_VALUES=10000` says how
many, and runs all (half an hour).
"""

import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from detector.cli.main import app
from detector.patience import VARIABLE
from detector.sweep.opening import open_backend
from detector.sweepfile.spec import read_sweep
from tests.cli.shell import Ended, detsweep, pipelines
from tests.tiny_run import SWEEP

TRIED = int(os.environ.get("DETSWEEP_BAD_VALUES", "40"))
LIMIT_S = 300
"""Loading torch on a machine that is busy takes a minute."""
NOT_UTF8 = os.fsdecode(b"caf\xe9")

PROGRAM = """\
program: sys
command: ["${interpreter}", -c, pass]
method: grid
metric: {name: score}
parameters: {a: {values: [1, 2]}}
"""

GOOD = {
    "data": "data",
    "source": "data",
    "target": "new",
    "model": "model.onnx",
    "images": "data/images/page.png",
    "baseline": "0.5",
    "file": "sweep.yaml",
    "host": "http://127.0.0.1:9",
    "image": "registry/detsweep:1",
    "output": "pipeline.yaml",
    "run_id": "none",
}
"""What a parameter that has to be given is, where another is tried."""

NEVER = {
    "run": ["models.encoder.model_name=none_such"],
    "train": ["data.path=data", "models.encoder.model_name=none_such"],
    "plan": ["models.encoder.model_name=none_such"],
    "sweep serve": ["--backend", "journal:///sweep.journal"],
    "sweep agent": ["--count", "1"],
    "sweep status": ["--json"],
    "data synth": ["--train", "1", "--held-out", "0"],
}
"""What keeps a command from working for minutes where all that it was given is good."""

BAD = [
    "missing", "missing/below/it", "a folder", "empty", "binary", "broken.yaml", "binary.onnx",
    "/dev/null", "data/images/page.png/below", "[bold]", "[/]", "[red", ":dog:", NOT_UTF8, "-1",
    "0", "nan", "inf", "-inf", "1e999", "9" * 30, "", " ", "~", "null", "é", "x" * 300, "x" * 5000,
    "a\nb", "%s{}$HOME", "http://", "s3://", "s3:///", "sqlite://", "sqlite:///a folder",
    "journal:///a folder/below/it", "grpc://", "grpc://x:y", "postgresql://x:y", "wandb://", "ftp://",
    "a=b", "=", "data.path=", "preset=", "preset=binary", "preset=binary.yaml", "data.mean={",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One value for one parameter of a command."""

    command: str
    parameter: Any
    value: str

    def __str__(self) -> str:
        return f"{self.command} {self.parameter.name} {self.value[:20]!a}"

    def words(self, sweep: str) -> list[str]:
        """The whole command."""
        good = {**GOOD, "sweep": "sweep.yaml" if self.command in ("run", "plan") else sweep}
        options: list[str] = []
        arguments: list[str] = []
        kept = NEVER.get(self.command, [])
        for each in _command(self.command).params:
            tried = each is self.parameter
            if not tried and (not each.required or each.opts[0] in kept):
                continue
            value = self.value if tried else good[each.name]
            if each.param_type_name == "argument":
                arguments.append(value)
            else:
                options += [each.opts[-1], value]
        if self.parameter.opts[-1] in kept:
            place = kept.index(self.parameter.opts[-1])
            kept = kept[:place] + kept[place + 2 :]
        return [*self.command.split(), *options, *kept, "--", *arguments]


def _command(name: str) -> Any:
    from pipelines.submit import commands

    first, *rest = name.split()
    found: Any = typer.main.get_command(commands.app if first == "pipelines" else app)
    for word in rest if first == "pipelines" else (first, *rest):
        found = found.commands[word]
    return found


def _commands(group: Any, above: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        whole = f"{above}{name}"
        if hasattr(command, "commands"):
            yield from _commands(command, f"{whole} ")
        else:
            yield whole, command


def _cases() -> list[Case]:
    from pipelines.submit import commands

    every = [
        Case(name, parameter, value)
        for group, above in ((app, ""), (commands.app, "pipelines "))
        for name, command in _commands(typer.main.get_command(group), above)
        for parameter in command.params
        if not getattr(parameter, "is_flag", False) and parameter.name != "help"
        for value in BAD
    ]
    return random.Random(0).sample(every, min(TRIED, len(every)))


@pytest.fixture(scope="module")
def place(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with good and bad files, and the id of a sweep in it."""
    folder = tmp_path_factory.mktemp("place")
    for part in ("images", "gt"):
        (folder / "data" / part).mkdir(parents=True)
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[20:30, 10:50] = 0
    for name in ("page", "other", "third"):
        Image.fromarray(pixels).save(folder / "data" / "images" / f"{name}.png")
        label = folder / "data" / "gt" / f"{name}.txt"
        label.write_text("10,20,50,20,50,30,10,30,TOTAL\n", encoding="utf-8")
    shutil.copy(model, folder / "model.onnx")
    (folder / "sweep.yaml").write_text(SWEEP, encoding="utf-8")
    (folder / "a folder").mkdir()
    (folder / "empty").touch()
    for name in ("binary", "binary.yaml", "binary.onnx"):
        (folder / name).write_bytes(bytes(range(256)) * 4)
    (folder / "broken.yaml").write_text("method: [grid\n", encoding="utf-8")
    backend = open_backend(f"sqlite:///{folder}/detsweep.db")
    return folder, backend.create(read_sweep(PROGRAM, "f")).id


@contextmanager
def _limited() -> Iterator[None]:
    if sys.platform == "win32":
        pytest.skip("it has no SIGALRM")

    def end(_signum: int, _frame: FrameType | None) -> None:
        pytest.fail(f"not ended after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("case", _cases(), ids=str)
def test_a_bad_value_ends_in_a_result_or_one_clear_line(
    case: Case, place: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sweep = place
    monkeypatch.chdir(folder)
    monkeypatch.setenv(VARIABLE, "1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for left in ("new", "runs"):
        shutil.rmtree(left, ignore_errors=True)
    first, *words = case.words(sweep)
    run: Callable[..., Ended] = pipelines if first == "pipelines" else detsweep
    with _limited():
        ended = run(*words) if first == "pipelines" else run(first, *words)
    assert ended.output.strip(), "it says nothing"
    assert "Traceback" not in ended.output
    if ended.code == 2:
        assert "error: " in ended.output or "Usage: " in ended.output

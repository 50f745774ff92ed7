"""The commands reach nobody and leave nothing outside of what they were given."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_run import SWEEP, overrides

DETSWEEP = Path(sys.executable).with_name("detsweep")


class Alone:
    """Runs commands as somebody whose home is empty, and notes whom they try to reach."""

    def __init__(self, folder: Path, library: Path):
        self.work, self.home, self.log = folder / "work", folder / "home", folder / "log"
        self.work.mkdir()
        self.home.mkdir()
        given = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "DETSWEEP_"))}
        self._environment = {
            **given,
            "HOME": str(self.home),
            "LD_PRELOAD": str(library),
            "CONNECT_LOG": str(self.log),
        }

    def run(self, *words: str | Path) -> None:
        command = [DETSWEEP, *words] if words[0] != sys.executable else words
        subprocess.run(
            command, check=True, cwd=self.work, env=self._environment, capture_output=True
        )

    @property
    def reached(self) -> list[str]:
        return self.log.read_text("utf-8").split() if self.log.exists() else []

    @property
    def left(self) -> set[str]:
        """The folders of the home that files were left in."""
        files = (p.relative_to(self.home) for p in self.home.rglob("*") if p.is_file())
        return {"/".join(file.parts[:2]) for file in files}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("no compiler, or no LD_PRELOAD")
    folder = tmp_path_factory.mktemp("alone")
    library = folder / "connect_log.so"
    source = Path(__file__).with_name("connect_log.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return Alone(folder, library)


def test_a_connection_would_be_seen(alone: Alone) -> None:
    script = "import socket\ns = socket.socket()\ns.settimeout(0.1)\n"
    script += "try: s.connect(('192.0.2.7', 80))\nexcept OSError: pass"
    alone.run(sys.executable, "-c", script)
    assert alone.reached == ["192.0.2.7"]
    alone.log.unlink()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_drawn_pages_to_found_text_nobody_is_reached(alone: Alone) -> None:
    sweep = alone.work / "sweep.yaml"
    sweep.write_text(SWEEP, encoding="utf-8")
    alone.run("data", "synth", "data", "--train", "9", "--held-out", "3")
    alone.run("data", "check", "data")
    alone.run("sweep", "check", "sweep.yaml")
    alone.run("run", "--data", "data", "--sweep", "sweep.yaml", "--store", "run", *overrides(1))
    model = "run/ensemble/model.onnx"
    page = next((alone.work / "data/val/images").iterdir())
    alone.run("evaluate", "--data", "data", "--model", model)
    alone.run("errors", "--data", "data", "--model", model)
    alone.run("predict", page, "--model", model, "--json", "found.json")
    if shutil.which("benchmark_app", path=str(DETSWEEP.parent)):  # of OpenVINO
        alone.run("predict", page, "--model", model, "--engine", "openvino", "--csv", "found.csv")
    assert alone.reached == []
    assert alone.left <= {".cache/detsweep"}
    assert {p.name for p in alone.work.iterdir()} <= {
        "data",
        "sweep.yaml",
        "run",
        "errors",
        "found.json",
        "found.csv",
    }

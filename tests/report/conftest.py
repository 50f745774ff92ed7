"""A sweep's worth of report data, and a real browser to open the report in."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import websocket

from detector.choosing.bootstrap import Interval
from detector.choosing.promotion import Promotion
from detector.choosing.ranking import Choice, Standing
from detector.data.synthetic.drawing import draw_receipt
from detector.ensemble.outcome import EnsembleOutcome, ModelChoice
from detector.evaluation.mistakes import TextKind
from detector.evaluation.overlay import draw_overlay, encode_jpeg
from detector.evaluation.score_row import ScoreRow
from detector.report.content import Overlay, ReportData
from detector.sweep.trial import TrialRecord, TrialState
from tests.report.outcomes import a_sweep

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_SECONDS = 60


def make_trial(number: int, state: TrialState, epochs: int, lr: float) -> TrialRecord:
    curve = {epoch: 0.9 - 0.5 / epoch - 10 * lr for epoch in range(1, epochs + 1)}
    reason = "CUDA out of memory" if state == "failed" else None
    return TrialRecord(
        number,
        {
            "models.optimizer.lr": lr,
            "models.encoder.model_name": ("resnet18", "resnet34")[number % 2],
            "trainer.max_epochs": 9,
        },
        state,
        curve,
        agent=None if state == "waiting" else f"agent-{number % 2}",
        started=0.0 if state == "waiting" else 100.0,
        ended=700.0 if state in {"finished", "stopped"} else None,
        reason=reason,
        epoch=epochs,
    )


@pytest.fixture(scope="session")
def full_report() -> ReportData:
    """A report with everything in it: every state, folds, candidates and six pictures."""
    trials = [
        make_trial(0, "finished", 9, 1e-3),
        make_trial(1, "stopped", 3, 8e-3),
        make_trial(2, "finished", 9, 2e-4),
        make_trial(3, "failed", 0, 9e-3),
        make_trial(4, "running", 4, 1e-3),
        make_trial(5, "waiting", 0, 2e-3),
    ]
    folds = [ScoreRow(f"fold {k}", 40, 0.86, 0.89, 0.875, 0.87, None, None) for k in range(3)]
    together = replace(folds[0], name="all, out of fold", pages=120)
    candidates = [
        ScoreRow("fold 0", 60, 0.87, 0.9, 0.885, 0.88, 0.79, 41.0, 0.871, 0.9),
        ScoreRow("mean of maps", 60, 0.88, 0.91, 0.8954, 0.89, 0.8, 121.4, 0.88, 0.91),
    ]
    candidates = [
        replace(row, megabytes=7.728, parity=3.1e-05, ms_low=38.0, ms_high=140.0)
        for row in candidates
    ]
    standings = [
        Standing(2, Interval(0.7871, 0.77, 0.8), Interval(0, 0, 0)),
        Standing(0, Interval(0.7846, 0.76, 0.79), Interval(0.0025, -0.0011, 0.0061)),
        Standing(1, Interval(0.6533, 0.63, 0.68), Interval(0.1338, 0.12, 0.15)),
    ]
    receipts = [draw_receipt(number, seed=5) for number in range(6)]
    overlays = [
        Overlay(
            f"val/images/{i}.jpg",
            encode_jpeg(draw_overlay(r.image, [b.points for b in r.boxes[3:]], r.boxes)),
        )
        for i, r in enumerate(receipts)
    ]
    return ReportData(
        title="Receipts",
        sweep=a_sweep(
            trials,
            id="k3v9x2ab",
            rungs=(3,),
            choice=Choice(
                2, standings, ["Trial 2 has the best H-Mean.", "Trial 0 is within noise."]
            ),
        ),
        changes=[("models.optimizer.lr", 4.5e-4, 2e-4)],
        model=EnsembleOutcome(
            choice=ModelChoice(
                candidates,
                chosen="mean of maps",
                reason="it has the best score, and none within noise of it is faster",
                thresholds="The configuration's thresholds are kept.",
                expected=Interval(0.8921, 0.88, 0.9),
            ),
            folds=folds,
            out_of_fold=together,
            reused_trial=2,
            inputs="",
            promotion=Promotion(
                "s3://models/base.onnx", 60, 0.8954, 0.871, Interval(0.0244, 0.01, 0.04)
            ),
        ),
        kinds={
            "Height": [TextKind("below 18 px high", 200, 180, 190, 188)],
            "Tilt": [TextKind("tilted below 2°", 0, 0, 0, 0)],
        },
        overlays=overlays,
        commands=[
            ("Train the best configuration", "detsweep train models.optimizer.lr=0.0002 " * 4)
        ],
        facts={"data set": "s3://bucket/" + "long-name-" * 12, "detsweep": "0.1.0"},
    )


@dataclass
class Page:
    """A page in the browser, after it has drawn its charts.

    Attributes:
        complaints: errors and warnings on its console.
        requests: the URLs it asked for.
    """

    browser: "Browser"
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def evaluate(self, expression: str) -> Any:
        return self.browser.evaluate(expression)


class Browser:
    """Headless Chromium, spoken to by its DevTools protocol."""

    def __init__(self, program: str, profile: Path):
        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                # The parallel coordinates are drawn by WebGL, here without a graphics card.
                "--enable-unsafe-swiftshader",
                "--remote-debugging-port=0",
                "--remote-allow-origins=*",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            stderr=subprocess.DEVNULL,
        )
        self._events: list[dict[str, Any]] = []
        self._calls = 0
        self._socket = websocket.create_connection(
            _first_tab(profile / "DevToolsActivePort"), timeout=_PATIENCE_SECONDS
        )
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()

    def open(self, file: Path, *, width: int, scheme: str = "light", media: str = "screen") -> Page:
        """Open a report at a window's width in a color scheme, as it is shown or printed."""
        self.call(
            "Emulation.setEmulatedMedia",
            media=media,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url="about:blank")
        self._events.clear()
        self.call("Page.navigate", url=file.as_uri())
        _wait_for(lambda: self.evaluate(_IS_DRAWN), "the charts to be drawn")
        page = Page(self)
        for event in self._events:
            _note(event["method"], event["params"], page)
        return page

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") != self._calls:
                self._events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            else:
                result: dict[str, Any] = message["result"]
                return result


_IS_DRAWN = """
document.readyState === "complete" && location.href !== "about:blank" &&
(!document.getElementById("plotly") || document.documentElement.dataset.charts === "drawn")
"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(_BROWSERS)} is on PATH")
    browser = Browser(program, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def _first_tab(port_file: Path) -> str:
    """The address of the first tab's socket, once the browser listens."""
    _wait_for(
        lambda: port_file.exists() and port_file.read_text(encoding="utf-8").count("\n"),
        "the browser",
    )
    port = port_file.read_text(encoding="utf-8").split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        tabs = json.load(answer)
    url: str = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return url


def _wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS} s for {what}")
        time.sleep(0.05)


def _note(method: str, params: dict[str, Any], page: Page) -> None:
    if method == "Network.requestWillBeSent":
        page.requests.append(params["request"]["url"])
    elif method == "Runtime.exceptionThrown":
        page.complaints.append(str(params["exceptionDetails"]))
    elif method == "Log.entryAdded" and "GL Driver Message" not in params["entry"]["text"]:
        # A machine without a graphics card says now and then how slow it is.
        page.complaints.append(params["entry"]["text"])
    elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}:
        page.complaints.append(str(params["args"]))

"""W&B's side of a sweep, as far as its clients ask for it: GraphQL, the file stream, the uploads.

The calls and the shapes of the answers are those that wandb 0.31 exchanges with W&B's server. The
search is random and the rule that stops runs is the test's.
"""

import gzip
import http.server
import json
import math
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.http_server import Server

API_KEY = "0123456789" * 4


@dataclass
class Run:
    name: str
    sweep: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    state: str = "pending"
    config: str = "{}"
    summary: str = "{}"
    history: list[dict[str, Any]] = field(default_factory=list)
    preempting: bool = False
    should_stop: bool = False
    exit_code: int | None = None

    @property
    def wandb_config(self) -> str:
        """The client's own part of the configuration, by which it knows a run that had begun."""
        return json.dumps(json.loads(self.config).get("_wandb", {}).get("value", {}))

    def node(self, keys: list[str]) -> dict[str, Any]:
        rows = [row for row in self.history if any(key in row for key in keys)]
        return {
            "name": self.name,
            "state": self.state,
            "config": self.config,
            "exitcode": self.exit_code,
            "shouldStop": self.should_stop,
            "stopped": self.should_stop and self.state == "finished",
            "running": self.state == "running",
            "failed": self.state == "failed",
            "summaryMetrics": self.summary,
            "heartbeatAt": "2026-01-01T00:00:00",
            "sampledHistory": [rows],
        }


@dataclass
class Artifact:
    """A committed one is complete; what its files hold stands in `WandbServer.uploads`."""

    run: str
    name: str
    files: list[str] = field(default_factory=list)
    is_committed: bool = False


@dataclass
class Sweep:
    name: str
    config: dict[str, Any]
    state: str = "RUNNING"
    runs: list[Run] = field(default_factory=list)

    def next_command(self) -> dict[str, Any] | None:
        """The command for an agent that has no run."""
        if self.state == "CANCELED":
            return {"type": "exit"}
        for run in self.runs:
            if run.state == "preempted":
                return self._begin(run, "resume")
        is_full = len(self.runs) >= self.config.get("run_cap", float("inf"))
        if is_full or self.state != "RUNNING":
            is_over = all(run.state not in {"pending", "running"} for run in self.runs)
            return {"type": "exit"} if is_over else None
        draw = random.Random(f"{self.name}/{len(self.runs)}")
        params = {
            name: draw.uniform(axis["min"], axis["max"])
            for name, axis in self.config["parameters"].items()
        }
        self.runs.append(Run(f"{self.name}r{len(self.runs)}", self.name, params))
        return self._begin(self.runs[-1], "run")

    def _begin(self, run: Run, kind: str) -> dict[str, Any]:
        run.state, run.preempting = "pending", False
        args = {name: {"value": value} for name, value in run.params.items()}
        return {"type": kind, "run_id": run.name, "program": "train.py", "args": args}


class WandbServer:
    """What the server holds. `calls` names every GraphQL operation and file stream, in order."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.sweeps: dict[str, Sweep] = {}
        self.runs: dict[str, Run] = {}
        self.artifacts: list[Artifact] = []
        self.uploads: dict[str, bytes] = {}
        self.agents: dict[str, str] = {}
        self.calls: list[str] = []
        self.lock = threading.RLock()
        self.hangs = threading.Event()
        """While set, requests are taken and not answered."""

    def run(self, name: str) -> Run:
        """A run of a sweep, or one of its own, which begins by being asked for."""
        of_sweeps = (run for sweep in self.sweeps.values() for run in sweep.runs)
        known = next((run for run in of_sweeps if run.name == name), None)
        return known or self.runs.setdefault(name, Run(name))

    def graphql(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = found.group(1) if found else ""
        self.calls.append(name)
        answer = getattr(self, f"_{name}", None)
        given: dict[str, Any] = answer(variables) if answer else {}
        return given

    def _Viewer(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        teams: dict[str, list[object]] = {"edges": []}
        return {
            "viewer": {"id": "u", "entity": "team", "username": "me", "flags": "{}", "teams": teams}
        }

    def _UpsertSweep(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if variables.get("id"):
            sweep = self.sweeps[variables["id"]]
            sweep.state = variables["state"]
            for run in sweep.runs:
                run.should_stop = run.should_stop or sweep.state == "CANCELED"
        else:
            sweep = Sweep(f"sweep{len(self.sweeps)}", yaml.safe_load(variables["config"]))
            self.sweeps[sweep.name] = sweep
        answer = {"name": sweep.name, "project": _project()}
        return {"upsertSweep": {"sweep": answer, "configValidationWarnings": []}}

    def _SweepWithRuns(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        sweep = self.sweeps.get(variables["sweep"])
        if sweep is None:
            return {"project": {"sweep": None}}
        keys = json.loads(variables["specs"]).get("keys", [])
        edges = [{"node": run.node(keys)} for run in sweep.runs]
        answer: dict[str, Any] = {"id": sweep.name, "name": sweep.name, "state": sweep.state}
        answer |= {"config": yaml.safe_dump(sweep.config), "runs": {"edges": edges}}
        return {"project": {"sweep": answer}}

    def _CreateAgent(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        agent = f"agent{len(self.agents)}"
        self.agents[agent] = variables["sweep"]
        return {"createAgent": {"agent": {"id": agent}}}

    def _Heartbeat(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        sweep = self.sweeps[self.agents[variables["id"]]]
        working_on = [self.run(name) for name in json.loads(variables["runState"])]
        stops = [{"type": "stop", "run_id": run.name} for run in working_on if run.should_stop]
        command = stops[0] if stops else None if working_on else sweep.next_command()
        commands = json.dumps([command] if command else [])
        return {"agentHeartbeat": {"agent": {"id": variables["id"]}, "commands": commands}}

    def _RunResumeStatus(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.run(variables["name"])
        bucket = (
            None
            if run.state == "pending" and not run.history
            else {
                "id": run.name,
                "name": run.name,
                "displayName": run.name,
                "summaryMetrics": run.summary,
                "config": run.config,
                "historyLineCount": len(run.history),
                "logLineCount": 0,
                "eventsLineCount": 0,
                "historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]),
                "eventsTail": "[]",
                "tags": [],
                "wandbConfig": run.wandb_config,
            }
        )
        return {"model": {"id": "m", **_project(), "bucket": bucket}}

    def _UpsertBucket(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run = self.run(variables["name"])
        assert variables["sweep"] in {None, run.sweep}
        run.state = "running" if run.exit_code is None or run.state == "pending" else run.state
        run.config = variables["config"] or run.config
        bucket = {"id": run.name, "name": run.name, "displayName": run.name, "config": run.config}
        bucket |= {"sweepName": run.sweep, "historyLineCount": len(run.history)}
        return {"upsertBucket": {"bucket": {**bucket, "project": _project()}, "inserted": True}}

    def _ArtifactType(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = variables["input"]
        self.artifacts.append(Artifact(asked["runName"], asked["artifactCollectionName"]))
        sequence = {"id": "s", "latestArtifact": None}
        artifact = {"id": str(len(self.artifacts) - 1), "state": "PENDING"}
        return {"createArtifact": {"artifact": {**artifact, "artifactSequence": sequence}}}

    def _CreateArtifactManifest(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        manifest = {"id": variables["artifactID"], "file": self._upload("manifest")}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def _CreateArtifactFiles(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        nodes = []
        for spec in variables["input"]["artifactFiles"]:
            artifact = self.artifacts[int(spec["artifactID"])]
            artifact.files.append(spec["name"])
            file = {**self._upload(spec["name"]), "storagePath": None, "uploadMultipartUrls": None}
            nodes.append({**file, "artifact": {"id": spec["artifactID"]}})
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _CommitArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        artifact = self.artifacts[int(variables["artifactID"])]
        artifact.is_committed = True
        return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}

    def _upload(self, name: str) -> dict[str, Any]:
        url = f"{self.url}/upload/{name}"
        return {
            "id": name,
            "name": name,
            "displayName": name,
            "uploadUrl": url,
            "uploadHeaders": [],
        }

    def _CreateRunFiles(self, variables: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [self._upload(name) for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def file_stream(self, run: Run, body: dict[str, Any]) -> None:
        self.calls.append("file_stream")
        files = body.get("files", {})
        if history := files.get("wandb-history.jsonl"):
            run.history[history["offset"] :] = [json.loads(line) for line in history["content"]]
        if summary := files.get("wandb-summary.json"):
            run.summary = summary["content"][-1]
        run.preempting = run.preempting or body.get("preempting", False)
        if body.get("complete"):
            run.exit_code = body["exitcode"]
            failed = "preempted" if run.preempting else "failed"
            run.state = failed if run.exit_code else "finished"


def _without_nan(tree: Any) -> Any:
    """W&B writes what JSON has no number for as text."""
    if isinstance(tree, dict):
        return {key: _without_nan(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_without_nan(value) for value in tree]
    return str(tree) if isinstance(tree, float) and not math.isfinite(tree) else tree


def _project() -> dict[str, Any]:
    return {"id": "p", "name": "receipts", "entity": {"id": "e", "name": "team"}}


@contextmanager
def wandb_environment(folder: Path) -> Iterator[WandbServer]:
    """A server that the client finds in the environment. Nothing of the person who runs the tests
    reaches the client, nor the other way round."""
    with pytest.MonkeyPatch.context() as patch, wandb_server() as server:
        patch.setenv("HOME", str(folder))
        patch.setenv("WANDB_DIR", str(folder))
        patch.setenv("WANDB_BASE_URL", server.url)
        patch.setenv("WANDB_API_KEY", API_KEY)
        patch.setenv("WANDB_X_DISABLE_STATS", "true")
        for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_MODE", "WANDB_SWEEP_ID"):
            patch.delenv(name, raising=False)
        yield server


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A running server on loopback."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            while state.hangs.is_set():
                time.sleep(0.05)
            answer: object = {}
            with state.lock:
                if self.path.startswith("/upload/"):
                    state.uploads[self.path.removeprefix("/upload/")] = body
                if self.path == "/graphql":
                    asked = json.loads(body)
                    answer = {"data": state.graphql(asked["query"], asked.get("variables") or {})}
                elif self.path.endswith("/file_stream"):
                    state.file_stream(state.run(self.path.split("/")[-2]), json.loads(body))
            content = json.dumps(_without_nan(answer)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST  # noqa: N815

    server = Server(("127.0.0.1", 0), Handler)
    state = WandbServer(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()

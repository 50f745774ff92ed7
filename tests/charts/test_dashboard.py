"""Who may see the dashboard, and that nobody changes anything by it: the real optuna-dashboard."""

import base64
import importlib.util
import io
import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from tests.charts.rendering import CHART, containers, find, render

optuna_dashboard = pytest.importorskip("optuna_dashboard")
optuna = pytest.importorskip("optuna")

PASSWORD = "a pass:wörd"
Site = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guard_of_chart(site: Site) -> Site:
    path = Path(CHART) / "files" / "dashboard.py"
    spec = importlib.util.spec_from_file_location("chart_dashboard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    guarded: Site = module.Guard(site, PASSWORD)
    return guarded


@pytest.fixture
def study(tmp_path: Path) -> Any:
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/sweep.db")
    made = optuna.create_study(storage=storage, study_name="abc")
    made.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    return made


@pytest.fixture
def site(study: Any) -> Site:
    return guard_of_chart(optuna_dashboard.wsgi(study._storage))


def basic(password: str, kind: str = "Basic") -> str:
    return f"{kind} {base64.b64encode(f'me:{password}'.encode()).decode()}"


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "HTTP_HOST": "localhost:8080",
        "HTTP_AUTHORIZATION": basic(PASSWORD),
        "wsgi.input": io.BytesIO(b"{}"),
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    setup_testing_defaults(environ)
    said: list[str] = []
    body = b"".join(site(environ, lambda status, *_: said.append(status)))
    return int(said[0].split()[0]), body


def test_who_knows_the_password_sees_the_trials(site: Site) -> None:
    status, body = ask(site, "/api/studies")
    assert status == 200
    assert b"abc" in body
    assert ask(site, "/dashboard/")[0] == 200


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!",
        basic(""),
        basic(PASSWORD[:-1]),
        basic(PASSWORD + "x"),
        basic(PASSWORD, "Bearer"),
        f"Basic {base64.b64encode(PASSWORD.encode()).decode()}",
        "Basic \xff\xfe",
    ],
)
def test_nobody_else_sees_anything(site: Site, shown: str) -> None:
    for path in ("/", "/dashboard/", "/api/studies", "/artifacts/0/0", "//healthz", "/healthz/"):
        status, body = ask(site, path, authorization=shown)
        assert status == 401
        assert b"abc" not in body
    assert ask(site, "/healthz", authorization=shown) == (200, b"ok\n")


def test_not_even_who_knows_the_password_changes_anything(site: Site, study: Any) -> None:
    paths = ["/api/studies", f"/api/studies/{study._study_id}", "/api/trials/1/tell", "/healthz/x"]
    methods = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "delete", ""]
    for path, method in itertools.product(paths, methods):
        assert ask(site, path, method)[0] == 405
    assert [s.study_name for s in optuna.get_all_study_summaries(study._storage)] == ["abc"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:8081"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"},
    ],
)
def test_a_page_of_another_site_is_refused(site: Site, study: Any, headers: dict[str, str]) -> None:
    for method in ("GET", "DELETE"):
        assert ask(site, f"/api/studies/{study._study_id}", method, **headers)[0] == 403
    assert ask(site, "/api/studies", origin="http://localhost:8080")[0] == 200
    assert (
        ask(site, "/dashboard/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    )


def test_the_chart_draws_a_password_or_takes_one() -> None:
    def source(manifests: Any) -> str:
        template = find(manifests, "Deployment", "detsweep-dashboard")["spec"]["template"]
        (container,) = containers(template["spec"])
        (variable,) = [v for v in container["env"] if v["name"] == "DASHBOARD_PASSWORD"]
        name: str = variable["valueFrom"]["secretKeyRef"]["name"]
        return name

    manifests = render({})
    assert (
        len(base64.b64decode(find(manifests, "Secret", source(manifests))["data"]["password"]))
        == 32
    )
    given = render({"dashboard": {"existingSecret": "mine"}})
    assert source(given) == "mine"
    names = {m["metadata"]["name"] for m in given if m["kind"] == "Secret"}
    assert "detsweep-dashboard" not in names

"""What of kfp.local is replaced is there, as it was in the version that is pinned."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from detector.errors import DetsweepError
from pipelines import kfp_local
from pipelines.kfp_local import INTERNALS, KFP, LOOP_EXECUTOR, START_OF_A_STEP, Internal

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda internal: internal.name)
def test_the_installed_kfp_has_it(internal: Internal) -> None:
    assert internal.problem() is None


@pytest.mark.parametrize(
    "internal, problem",
    [
        (replace(START_OF_A_STEP, name="start_step"), "subprocess_task_handler.start_step.*gone"),
        (replace(START_OF_A_STEP, parameters=("command",)), "which starts a step's process, takes"),
        (replace(LOOP_EXECUTOR, sets=("width",)), "runs a loop's iterations, has no width"),
    ],
)
def test_what_broke_is_named_and_what_to_install(
    internal: Internal, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kfp_local, "INTERNALS", (internal,))
    with pytest.raises(DetsweepError, match=problem) as caught:
        kfp_local.check_kfp()
    assert f"kfp=={KFP}.*" in (caught.value.remedy or "")


def test_pyproject_pins_the_minor_version_whose_internals_these_are() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    major, minor = map(int, KFP.split("."))
    pinned = f">={KFP},<{major}.{minor + 1}"
    assert {f"kfp{pinned}", f"kfp-kubernetes{pinned}"} <= set(
        project["optional-dependencies"]["sweep"]
    )

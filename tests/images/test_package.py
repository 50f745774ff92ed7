"""What the package is built from reaches the builder of the images."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"][
    "targets"
]["wheel"]
SOURCES = {Path(name).parts[0] for name in (*WHEEL["packages"], *WHEEL["force-include"])}


@pytest.mark.parametrize("image", ["controller", "trainer"])
def test_every_folder_of_the_wheel_is_copied(image: str) -> None:
    lines = (ROOT / "images" / image / "Dockerfile").read_text("utf-8").splitlines()
    assert not {name for name in SOURCES if f"COPY {name} {name}" not in lines}


def test_no_folder_of_the_wheel_is_kept_from_the_builder() -> None:
    sent = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert not {name for name in SOURCES if f"!{name}" not in sent}

"""Who may import whom: the contracts of pyproject.toml hold, and the docs show the same order."""

import re
import tomllib
from pathlib import Path
from typing import Any

from importlinter.application.use_cases import lint_imports
from importlinter.configuration import configure

ROOT = Path(__file__).parents[1]
CONTRACTS: list[dict[str, Any]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["tool"]["importlinter"]["contracts"]


def rooms() -> list[str]:
    """The rooms from top to bottom, as the contract has them."""
    (contract,) = (each for each in CONTRACTS if each["id"] == "rooms")
    return [layer.removeprefix("detector.") for layer in contract["layers"] if ":" not in layer]


def test_the_contracts_hold() -> None:
    configure()
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)


def test_every_package_is_a_room() -> None:
    packages = {path.parent.name for path in (ROOT / "src/detector").glob("*/__init__.py")}
    assert packages == set(rooms())


def test_the_docs_list_the_rooms_in_the_contracts_order() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.split("## The rooms")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == rooms()

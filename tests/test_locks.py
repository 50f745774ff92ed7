"""The locks hold what the project asks for, each file of it by its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-torch.lock")
LOCKED_APART = {"bench", "docs", "gpu"}
"""Extras that are not in the locks: other builds of what is, or not needed to work on the code."""


def blocks(lock: str) -> list[str]:
    """A lock's packages, each with the lines that belong to it."""
    return re.findall(r"^\S.*\n(?:\s.*\n)*", (ROOT / lock).read_text(encoding="utf-8"), re.M)


def locked() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for lock in LOCKS:
        for block in blocks(lock):
            requirement = Requirement(block.splitlines()[0].removesuffix("\\").strip())
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_of_one_version_with_hashes(lock: str) -> None:
    assert blocks(lock)
    for block in blocks(lock):
        assert re.match(r"[a-z0-9.-]+==\S+", block)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.splitlines()[0]


def test_all_that_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"]]
    asked += [line for extra in set(extras) - LOCKED_APART for line in extras[extra]]
    versions = locked()
    for requirement in map(Requirement, asked):
        if requirement.name == project["name"]:
            continue
        found = versions[canonicalize_name(requirement.name)]
        assert all(
            specifier.version in requirement.specifier
            for lock in found
            for specifier in lock.specifier
        ), requirement


def test_what_only_a_gpu_uses_is_in_the_lock_of_torch() -> None:
    """So that a build of torch without CUDA can take its place."""
    names = {block.partition("==")[0] for block in blocks("requirements.lock")}
    assert not [name for name in names if name.startswith(("torch", "nvidia-", "cuda-", "triton"))]

"""The requirements of an image, one a line: what pyproject.toml asks for, less what it names.

The versions are those of the locks. It runs in the image that it is written for, so it needs
nothing but Python.

    python images/requirements.py pyproject.toml --extra sweep --without kfp --lock *.lock
"""

import argparse
import re
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def requirements(project: Path, extras: Iterable[str], without: Collection[str]) -> list[str]:
    """The direct requirements of a project and of some of its extras.

    Args:
        without: names that are left out.

    Raises:
        ValueError: a name in `without` is not among them, or there is no such extra.
    """
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    wanted = list(table["dependencies"])
    waiting = list(extras)
    for extra in waiting:
        if extra not in table["optional-dependencies"]:
            raise ValueError(f"{project} has no extra {extra!r}")
        for requirement in table["optional-dependencies"][extra]:
            # An extra may ask for others of the project's own.
            if others := _extras_of(requirement, table["name"]):
                waiting += [other for other in others if other not in waiting]
            else:
                wanted.append(requirement)
    names = {requirement: _name(requirement) for requirement in wanted}
    if unknown := set(without) - set(names.values()):
        raise ValueError(f"{project} does not require {', '.join(sorted(unknown))}")
    return [requirement for requirement in wanted if names[requirement] not in without]


def pinned(requirements: Iterable[str], locks: Iterable[Path]) -> list[str]:
    """The same at the versions of the locks, which may be one for each of several Pythons.

    Raises:
        ValueError: the locks hold none of a requirement.
    """
    lines = [line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines()]
    versions: dict[str, list[str]] = {}
    for line in lines:
        if _NAME.match(line):
            versions.setdefault(_name(line), []).append(line.removesuffix("\\").strip())
    names = [_name(requirement) for requirement in requirements]
    if missing := set(names) - set(versions):
        raise ValueError(f"the locks lack {', '.join(sorted(missing))}: `make lock` adds them")
    return [line for name in dict.fromkeys(names) for line in versions[name]]


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match, "setuptools and pip have accepted it"
    return match[0].lower()


def _extras_of(requirement: str, project: str) -> list[str]:
    match = re.fullmatch(rf"{re.escape(project)}\[(.+)\]", requirement)
    return [extra.strip() for extra in match[1].split(",")] if match else []


def main() -> None:
    """Print the requirements of an image."""
    parser = argparse.ArgumentParser(description="The requirements of an image, one a line.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--lock", nargs="+", type=Path, required=True)
    given = parser.parse_args()
    asked = requirements(given.project, given.extra, given.without)
    print("\n".join(pinned(asked, given.lock)))


if __name__ == "__main__":
    main()

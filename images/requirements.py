"""The requirements of an image, one a line: what pyproject.toml asks for, less what it names.

The versions are requirements.lock's, which pip takes as constraints. It runs in the image that it
is written for, so it needs nothing but Python.

    python images/requirements.py pyproject.toml --extra postgresql --without kfp wandb
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
    table = tomllib.loads(project.read_text())["project"]
    wanted = list(table["dependencies"])
    for extra in extras:
        if extra not in table["optional-dependencies"]:
            raise ValueError(f"{project} has no extra {extra!r}")
        wanted += table["optional-dependencies"][extra]
    names = {requirement: _name(requirement) for requirement in wanted}
    if unknown := set(without) - set(names.values()):
        raise ValueError(f"{project} does not require {', '.join(sorted(unknown))}")
    return [requirement for requirement in wanted if names[requirement] not in without]


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match, "setuptools and pip have accepted it"
    return match[0].lower()


def main() -> None:
    """Print the requirements of an image."""
    parser = argparse.ArgumentParser(description="The requirements of an image, one a line.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    print("\n".join(requirements(given.project, given.extra, given.without)))


if __name__ == "__main__":
    main()

"""What the documentation refers to is there: files, sections, commands and options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from detector.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("benchmarks/**/*.md")),
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"```(?:console|sh|bash)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(detsweep [^`\n]+)`")
PLACEHOLDERS = re.compile(r"[…|<>$]|\.\.\.")


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    without_code = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return {slug(line.lstrip("#")) for line in without_code.splitlines() if line[:1] == "#"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}"


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(LINK.findall(index))


def test_pyproject_cites_sections_that_exist() -> None:
    cited = re.findall(
        r'see README, "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert cited
    assert {slug(section) for section in cited} <= anchors(ROOT / "README.md")


def commands(page: Path) -> Iterator[str]:
    """The `detsweep` commands that a page shows, without what stands in for something else."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        joined = block.replace("\\\n", " ")
        for line in joined.splitlines():
            shown = line.strip().removeprefix("$ ").split("  #")[0]
            if shown.startswith("detsweep "):
                yield shown
    yield from INLINE.findall(text)


def refusal(shown: str) -> str | None:
    """What the command line would not know of a command: a group, a command or an option."""
    command: Any = typer.main.get_command(app)
    try:
        words = shlex.split(PLACEHOLDERS.split(shown)[0], comments=True)[1:]
    except ValueError:  # cut off inside of quotes
        words = PLACEHOLDERS.split(shown)[0].split()[1:]
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        name, *words = words
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in options | {"--help"}]
    return f"no option {unknown[0]!r}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_is_shown_exists(page: Path) -> None:
    wrong = [f"{shown}: {problem}" for shown in commands(page) if (problem := refusal(shown))]
    assert not wrong, "\n".join(wrong)


def test_a_command_that_is_not_there_would_be_found() -> None:
    assert refusal("detsweep sweep begin") == "no command 'begin'"
    assert refusal("detsweep predict --modl x.onnx") == "no option '--modl'"
    assert refusal("detsweep sweep status ID --watch") is None

"""`detsweep help`: the documentation on the terminal, a page or a section of it.

The pages are those of the folder `docs`, which a wheel has inside of the package.
"""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from detector.console import plain_console
from detector.errors import DetsweepError, did_you_mean

_INDEX = "README.md"
_ROW = re.compile(r"^\| \[(?P<topic>[\w-]+)\.md\]\(.+?\) \| (?P<summary>.+?) \|$", re.MULTILINE)
_HEADING = re.compile(r"^## +(.+)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


class NoTopicError(DetsweepError):
    """The documentation has no such page, or the page no such section."""


def topics() -> dict[str, str]:
    """What each page is for, by topic, as the index of the documentation says it."""
    index = (_pages() / _INDEX).read_text(encoding="utf-8")
    return {row["topic"]: row["summary"] for row in _ROW.finditer(index)}


def complete_topic(incomplete: str) -> list[tuple[str, str]]:
    """The topics that begin so."""
    return [(name, said) for name, said in topics().items() if name.startswith(incomplete)]


def show_topic(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPIC", help="Without one, all are listed.", autocompletion=complete_topic
        ),
    ] = None,
    section: Annotated[
        list[str] | None, typer.Argument(metavar="SECTION", help="Words of a section's heading.")
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="Print the page with its sections.")] = False,
) -> None:
    """Explain a topic: what it is about, and which sections say more."""
    if topic is None:
        width = max(map(len, topics()))
        for name, said in topics().items():
            typer.echo(f"{name:{width}}  {said}")
        typer.echo(
            "\n`detsweep help TOPIC` explains one, `detsweep help TOPIC SECTION` a part of it."
        )
        return
    page = page_of(topic)
    if section:
        _print(section_of(page, " ".join(section), topic))
    elif whole:
        _print(page)
    else:
        _print(short_form(page, topic))


def page_of(topic: str) -> str:
    """The Markdown of a page.

    Raises:
        NoTopicError: there is no such topic; the nearest is named.
    """
    if topic not in topics():
        raise NoTopicError(
            f"no topic {topic!r}{did_you_mean(topic, topics())}",
            where="help",
            remedy=f"choose one of {', '.join(topics())}",
        )
    return (_pages() / f"{topic}.md").read_text(encoding="utf-8")


def short_form(page: str, topic: str) -> str:
    """What stands before the page's first section, and the names of its sections."""
    opening, *rest = _sections(page)
    names = [_HEADING.match(section) for section in rest]
    listed = "\n".join(f"- {name[1]}" for name in names if name)
    more = f"`detsweep help {topic} SECTION` explains one of these, and `--all` prints the page:"
    return f"{opening}\n{more}\n\n{listed}\n" if listed else opening


def section_of(page: str, words: str, topic: str) -> str:
    """The section whose heading holds the words.

    Raises:
        NoTopicError: none does.
    """
    by_name = {heading[1]: text for text in _sections(page) if (heading := _HEADING.match(text))}
    for name, text in by_name.items():
        if words.casefold() in name.casefold():
            return text
    raise NoTopicError(
        f"no section {words!r}{did_you_mean(words, by_name)}",
        where=f"help {topic}",
        remedy=f"choose one of {', '.join(by_name)}" if by_name else "leave the section out",
    )


def _sections(page: str) -> list[str]:
    """The page, cut before each of its headings of the second level."""
    hidden = _CODE.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), page)
    cuts = [0, *(heading.start() for heading in _HEADING.finditer(hidden)), len(page)]
    return [page[start:end] for start, end in pairwise(cuts)]


def _pages() -> Traversable | Path:
    inside = files("detector") / "docs"
    # A checkout has them beside the package.
    return inside if inside.is_dir() else Path(__file__).parents[3] / "docs"


def _print(page: str) -> None:
    console = plain_console()
    text = _LINK.sub(r"\1", page)
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(text))
    else:
        typer.echo(text.strip())

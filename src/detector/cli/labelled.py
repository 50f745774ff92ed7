"""The labelled pages that a command scores a model on or trains on, and the options that say
which."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from detector.config import Config
    from detector.data.folds import Folds
    from detector.data.page import Page

Labelled = Annotated[str, typer.Option(help="A labelled data set.", envvar="DETSWEEP_DATA")]
Everything = Annotated[
    bool, typer.Option("--all", help="Take every page, even where some are marked as held out.")
]


def labelled_pages(data: str, everything: bool) -> "list[Page]":
    """The held-out pages of a data set; all where none is marked, or `everything` is asked for.

    Raises:
        DataError: the data set cannot be read.
    """
    from detector.data.formats import load_pages
    from detector.data.source import fetch

    pages = load_pages(fetch(data))
    held_out = [page for page in pages if page.held_out]
    return pages if everything or not held_out else held_out


def split_pages(config: "Config") -> "Folds":
    """The data set of a configuration, split into its folds.

    Raises:
        DataError: the data set cannot be read or split.
    """
    from detector.data.folds import make_folds, open_folds
    from detector.data.formats import load_pages
    from detector.data.source import fetch

    data = config.data
    root = fetch(data.path)
    pages = load_pages(root, data.group_column)
    manifest = make_folds(pages, config.folds.count, config.seed, data.held_out_fraction)
    return open_folds(root, manifest, data.group_column)

"""The options of a command that measures a model on labelled pages."""

from typing import Annotated

import typer

Labelled = Annotated[
    str,
    typer.Option(
        metavar="FOLDER|URL",
        help="A labelled data set: a folder or an s3:// URL.",
        envvar="DETSWEEP_DATA",
    ),
]
Everything = Annotated[
    bool, typer.Option("--all", help="Take every page, even where some are marked as held out.")
]

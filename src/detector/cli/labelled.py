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
LabelFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="In which format the labels are, where their files leave it open (`data.format`).",
    ),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        metavar="PART",
        help="Which part is held out, where several may be: val, test, … (`data.held_out`).",
    ),
]
Everything = Annotated[
    bool, typer.Option("--all", help="Take every page, even where some are marked as held out.")
]

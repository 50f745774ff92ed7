"""The options of a command that measures a model on labelled pages."""

from typing import Annotated

import typer

Labelled = Annotated[str, typer.Option(help="A labelled data set.", envvar="DETSWEEP_DATA")]
Everything = Annotated[
    bool, typer.Option("--all", help="Take every page, even where some are marked as held out.")
]

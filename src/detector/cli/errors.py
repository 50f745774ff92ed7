"""`detsweep errors`: what a model gets wrong on labelled pages, to decide what to label next."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from detector.cli.labelled import Everything, HeldOut, LabelFormat, Labelled
from detector.cli.predict import Model, RunBy
from detector.cli.progress import with_bar
from detector.console import plain_console
from detector.export.engine import Engine
from detector.storage.output import require_output, write_output

if TYPE_CHECKING:
    from detector.evaluation.mistakes import PageMistakes, TextKind

_INDEX, _PAGE = "errors.json", "errors.html"


def show_errors(
    data: Labelled,
    model: Model,
    engine: RunBy = Engine.ONNXRUNTIME,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="Folder for the worst pages: errors.html, pictures, errors.json."
        ),
    ] = Path("errors"),
    worst: Annotated[int, typer.Option(min=0, help="How many pages to draw.")] = 10,
    everything: Everything = False,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
) -> None:
    """Show the kinds of text that a model misses, and draw the pages that cost most.

    Each picture has the truth at the left and the finds at the right: missed words red, split ones
    orange, merging finds violet, false ones blue. errors.html shows the pages one by one, by kind
    of mistake.
    """
    from detector.data.data_set import Reading
    from detector.data.images import read_image
    from detector.data.opening import pages_to_measure
    from detector.evaluation.mistakes import as_json, by_kind, worst_first
    from detector.evaluation.overlay import draw_mistakes, encode_png
    from detector.export.detector import Detector
    from detector.report.mistakes import render_mistakes

    require_output(folder=out)
    detector = Detector(model, engine)
    max_pixels = detector.card.max_pixels()
    pages = pages_to_measure(data, everything, Reading(None, label_format, held_out))
    ordered = worst_first(with_bar(pages, "looking for mistakes"), detector, max_pixels)

    console = plain_console()
    for name, rows in by_kind(ordered).items():
        console.print(_kinds_table(f"By {name}", rows))
    console.print(_pages_table(ordered[:worst]))
    _remove_earlier(out)
    for rank, page in enumerate(ordered[:worst], start=1):
        image = read_image(page.page.image, max_pixels)
        drawn = draw_mistakes(image, page.predictions, page.page.boxes, page.mistakes)
        write_output(out / f"{rank:02d}-{Path(page.page.name).stem}.png", encode_png(drawn))
    write_output(out / _INDEX, as_json(ordered).encode())
    document = render_mistakes(
        ordered, worst, f"{model} on {data}", lambda page: read_image(page.page.image, max_pixels)
    )
    write_output(out / _PAGE, document.encode())
    console.print(f"pictures, {_PAGE} and {_INDEX} are in {out}", highlight=False, soft_wrap=True)


def _remove_earlier(folder: Path) -> None:
    """Take away the pictures of an earlier call, which would be taken for this one's."""
    if (folder / _INDEX).is_file():
        for picture in folder.glob("[0-9][0-9]-*.png"):
            picture.unlink()


def _kinds_table(title: str, rows: "Sequence[TextKind]") -> Table:
    table = Table("text", "words", "found", "finds", "true", title=title)
    for row in rows:
        table.add_row(*row.cells)
    return table


def _pages_table(pages: "Sequence[PageMistakes]") -> Table:
    table = Table("page", "missed", "split", "merged", "false", title="Worst pages")
    for page in pages:
        kinds = page.mistakes
        counts = (kinds.missed, kinds.split, kinds.merged, kinds.false)
        table.add_row(page.page.name, *(str(len(kind)) for kind in counts))
    return table

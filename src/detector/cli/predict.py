"""`detsweep predict` and `detsweep evaluate`: what an exported model finds, and how well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from detector.cli.labelled import Everything, HeldOut, LabelFormat, Labelled
from detector.cli.progress import note, with_bar
from detector.console import plain_console
from detector.data.output_format import OutputFormat
from detector.errors import DataError
from detector.export.engine import Engine
from detector.wording import counted

if TYPE_CHECKING:
    from detector.data.pictures import Picture
    from detector.evaluation.cleval.counts import DatasetScore
    from detector.evaluation.iou_counts import IoUCounts

Model = Annotated[
    Path, typer.Option(metavar="FILE", help="An ONNX file that `detsweep run` wrote.")
]
RunBy = Annotated[Engine, typer.Option("--engine", help="What runs the network.")]


def predict_images(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Image files, folders of them, or patterns."),
    ],
    model: Model,
    engine: RunBy = Engine.ONNXRUNTIME,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outlines as JSON.")
    ] = None,
    lines_file: Annotated[
        Path | None,
        typer.Option(
            "--jsonl",
            metavar="FILE",
            help="Write a line of JSON for each image, as soon as it is done; - prints them.",
        ),
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the outlines as CSV, one line each."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for a picture of each image's outlines."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New folder for the outlines as --to says."),
    ] = None,
    to: Annotated[
        OutputFormat | None,
        typer.Option(
            help="Format of --out: a data set to correct in a labelling tool, with the images; or "
            "ALTO, PAGE or hOCR, a file for each image."
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Refuse images with more pixels; by default the model says it."),
    ] = None,
) -> None:
    """Find the text of images; outlines are in each image's own pixels, upright.

    Each page of a TIFF or a PDF is an image. One that cannot be read is named and left out; then
    the exit code is 1.
    """
    from detector.cli.results import Places
    from detector.data.pictures import find_pictures, read_ahead
    from detector.export.detector import Detector

    pictures = find_pictures(images)
    places = Places(json_file, lines_file, csv_file, overlay, out, to)
    places.require(pictures)
    detector = Detector(model, engine)
    failed: list[Picture] = []
    with places.opened() as results:
        read = read_ahead(pictures, max_pixels or detector.card.max_pixels())
        for picture in with_bar(pictures, "finding text", "image"):
            image = next(read)
            if isinstance(image, DataError):
                failed.append(picture)
                note(f"error: {image}")
            else:
                results.add(picture, image, detector(image))
    if failed:
        note(f"{len(failed)} of {counted(len(pictures), 'image')} could not be read, see above")
        raise typer.Exit(1)


def evaluate_model(
    data: Labelled,
    model: Model,
    engine: RunBy = Engine.ONNXRUNTIME,
    everything: Everything = False,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
) -> None:
    """Score a model on labelled pages: the held-out ones, or all where none is marked."""
    from detector.data.data_set import Reading
    from detector.data.fit import require_text
    from detector.data.opening import pages_to_measure
    from detector.evaluation.scoring import score_pages
    from detector.export.detector import Detector

    pages = pages_to_measure(data, everything, Reading(None, label_format, held_out))
    require_text(pages, "labelled")
    detector = Detector(model, engine)
    max_pixels = detector.card.max_pixels()
    scores = score_pages(with_bar(pages, "scoring"), detector, max_pixels, [0.5, 0.7])
    of = "held-out page" if all(page.held_out for page in pages) else "page"
    title = f"{counted(len(pages), of)} of {data}"
    if not any(page.held_out for page in pages):
        title += ", where none is held out: what was trained on some of them scores too high"
    table = Table("score", "H-Mean", "recall", "precision", title=title)
    rows: dict[str, DatasetScore | IoUCounts] = {"CLEval": scores.cleval}
    rows |= {f"IoU ≥ {threshold}": score for threshold, score in scores.iou.items()}
    for name, score in rows.items():
        table.add_row(name, *(f"{v:.4f}" for v in (score.hmean, score.recall, score.precision)))
    console = plain_console()
    console.print(table)
    console.print(f"mean of the pages' own CLEval H-Means {scores.cleval.hmean_pages:.4f}")
    console.print(f"{scores.ms_per_page:.1f} ms a page, from pixels to outlines")

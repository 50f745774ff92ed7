"""`detsweep predict` and `detsweep evaluate`: what an exported model finds, and how well."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from detector.cli.labelled import Everything, HeldOut, LabelFormat, Labelled
from detector.cli.progress import note, with_bar
from detector.console import plain_console
from detector.errors import DataError
from detector.export.engine import Engine
from detector.names import require_utf8
from detector.storage.output import write_output
from detector.wording import counted

if TYPE_CHECKING:
    from detector.detecting.postprocess import Detections
    from detector.evaluation.cleval.counts import DatasetScore
    from detector.evaluation.iou_counts import IoUCounts

Model = Annotated[
    Path, typer.Option(metavar="FILE", help="An ONNX file that `detsweep run` wrote.")
]
RunBy = Annotated[Engine, typer.Option("--engine", help="What runs the network.")]


def predict_images(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Image files, such as photos of receipts.")
    ],
    model: Model,
    engine: RunBy = Engine.ONNXRUNTIME,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outlines as JSON.")
    ] = None,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write the outlines as CSV, one line each."),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder for a picture of each image's outlines."),
    ] = None,
) -> None:
    """Find the text of images; outlines are in each image's own pixels, upright."""
    from detector.data.images import read_image
    from detector.detecting.written import as_csv, as_json
    from detector.evaluation.overlay import draw_overlay, encode_png
    from detector.export.detector import Detector

    _require_distinct(images, overlay)
    for file in images:
        require_utf8(str(file), "IMAGE")
    detector = Detector(model, engine)
    found: dict[str, Detections] = {}
    for path in with_bar(images, "finding text", "image"):
        image = read_image(path, detector.card.max_pixels())
        found[str(path)] = detections = detector(image)
        if overlay is not None:
            picture = encode_png(draw_overlay(image, detections.polygons))
            write_output(overlay / f"{path.stem}.png", picture)
    if overlay is not None:
        note(f"pictures are in {overlay}")
    if json_file is not None:
        write_output(json_file, as_json(found).encode())
    if csv_file is not None:
        write_output(csv_file, as_csv(found).encode())
    if json_file is None and csv_file is None:
        typer.echo(as_json(found), nl=False)


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


def _require_distinct(images: list[Path], overlay: Path | None) -> None:
    """Overlays are named after their images, so two of one name would overwrite each other."""
    stems = [path.stem for path in images]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if overlay is not None and twice is not None:
        raise DataError(
            f"two images are named {twice!r}",
            where="--overlay",
            remedy="predict them in two calls, with a folder each",
        )

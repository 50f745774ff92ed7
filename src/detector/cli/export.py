"""`detsweep export`: a checkpoint, a run or a model as the file that somebody needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.labelled import HeldOut, LabelFormat
from detector.cli.progress import note, spinning
from detector.errors import ExportError
from detector.export.bits import Precision
from detector.export.layout_names import Layout
from detector.extras import need
from detector.storage.output import require_output, write_output
from detector.storage.scratch import scratch_folder

if TYPE_CHECKING:
    from detector.data.data_set import Reading
    from detector.data.page import Page

_IN_FOLDER = ("ensemble/model.onnx", "model.onnx", "best.ckpt")
"""What a run's folder and a training's have, the best first."""


def export_model(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A best.ckpt, an exported model, or the folder of a run."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The ONNX file to write.")],
    layout: Annotated[
        Layout, typer.Option(help="What reads it; how it takes a picture, and gives the map.")
    ] = Layout.DETSWEEP,
    precision: Annotated[
        Precision, typer.Option(help="How many bits its numbers have.")
    ] = Precision.FLOAT32,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            help="For int8: its training pages give the ranges, its held-out pages the score.",
        ),
    ] = None,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
) -> None:
    """Write a model as an ONNX file: in fewer bits, or for RapidOCR or OpenCV.

    int8 is refused where its score on the held-out pages is worse by more than noise.
    """
    if (precision is Precision.INT8) != (data is not None):
        raise typer.BadParameter("give --data with --precision int8, and only there")
    require_output(target)
    if precision is Precision.INT8:
        # Of the intervals: that it is not installed is said before minutes of measuring.
        import scipy.special  # noqa: F401
    from detector.data.data_set import Reading

    with scratch_folder("export") as folder:
        model = _exported(_found(source), folder)
        if precision is not Precision.FLOAT32:
            reading = Reading(None, label_format, held_out)
            model = _in_fewer_bits(model, folder, precision, data, reading)
        if layout is not Layout.DETSWEEP:
            from detector.export.layout import write_layout

            write_layout(model, folder / "layout.onnx", layout)
            model = folder / "layout.onnx"
        write_output(target, model.read_bytes())
    note(f"wrote {target}")


def _found(source: Path) -> Path:
    if not source.is_dir():
        return source
    for name in _IN_FOLDER:
        if (source / name).is_file():
            return source / name
    raise ExportError(
        f"the folder holds none of {', '.join(_IN_FOLDER)}",
        where=str(source),
        remedy="name the folder of a run that has ended, or a best.ckpt",
    )


def _exported(source: Path, folder: Path) -> Path:
    """The model of a checkpoint; a file of another kind has to be a model."""
    from detector.export.model import Model

    if source.suffix != ".ckpt":
        Model(source).card  # noqa: B018  # which says that it is one
        return source
    need("train")
    with spinning("loading torch"):
        from detector.data.synthetic.drawing import draw_receipt
        from detector.ensemble.single import export_checkpoint
    return export_checkpoint(source, draw_receipt(0, 0).image, folder / "exported.onnx")


def _in_fewer_bits(
    model: Path, folder: Path, precision: Precision, data: str | None, reading: "Reading"
) -> Path:
    from detector.data.synthetic.drawing import draw_receipt
    from detector.export.conversion import write_fewer_bits

    written = folder / f"{precision}.onnx"
    sample = draw_receipt(0, 0).image
    if data is None:
        write_fewer_bits(model, written, precision, sample, [])
        return written
    from detector.data.data_set import DataSet

    pages = DataSet.read(data, reading).pages()
    training = [page for page in pages if not page.held_out]
    measured = [page for page in pages if page.held_out]
    if not training or not measured:
        raise ExportError(
            "int8 needs pages to train on and held-out pages",
            where=data,
            remedy="name by --held-out which part is held out",
        )
    write_fewer_bits(model, written, precision, sample, training)
    _require_within_noise(written, model, measured)
    return written


def _require_within_noise(written: Path, model: Path, pages: "list[Page]") -> None:
    from detector.choosing.promotion import judge
    from detector.steps.promote import measure

    comparison = judge(measure(written, pages), measure(model, pages), str(model))
    note(comparison.sentence().replace("promoted", "better", 1))
    if comparison.verdict == "worse":
        raise ExportError(
            "int8 finds less than the float32 model, by more than noise",
            where=str(model),
            remedy="use --precision fp16, or leave --precision out",
        )

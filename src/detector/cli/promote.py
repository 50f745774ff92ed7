"""`detsweep promote`: does a new model take the place of the one in use?"""

from pathlib import Path
from typing import Annotated

import typer

from detector.cli.labelled import Everything, HeldOut, LabelFormat, Labelled

WITHIN_NOISE_EXIT_CODE = 3
WORSE_EXIT_CODE = 4


def promote_model(
    model: Annotated[Path, typer.Option(metavar="FILE", help="The new model, an ONNX file.")],
    baseline: Annotated[
        str,
        typer.Option(
            metavar="MODEL|SCORE",
            help="The model in use: an ONNX file (a path or a URL), or an H-Mean.",
        ),
    ],
    data: Labelled,
    everything: Everything = False,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
) -> None:
    """Compare two models on the same pages: the held-out ones, or all where none is marked.

    Exit code 0 says promoted, 3 within noise, 4 worse.
    """
    # Of the intervals: that it is not installed is said before minutes of measuring.
    import scipy.special  # noqa: F401

    from detector.data.data_set import Reading
    from detector.data.opening import pages_to_measure
    from detector.steps.promote import compare_with_baseline, measure, require_baseline

    require_baseline(baseline)
    pages = pages_to_measure(data, everything, Reading(None, label_format, held_out))
    promotion = compare_with_baseline(measure(model, pages), pages, baseline)
    typer.echo(promotion.sentence())
    codes = {"promoted": 0, "within noise": WITHIN_NOISE_EXIT_CODE, "worse": WORSE_EXIT_CODE}
    raise typer.Exit(codes[promotion.verdict])

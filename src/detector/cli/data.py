"""`detsweep data`: check a data set, convert it, split it into folds, or draw one."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from detector.cli.finite import finite
from detector.cli.labelled import HeldOut, LabelFormat
from detector.cli.progress import counting
from detector.config.schema import DataConfig, FoldsConfig
from detector.console import plain_console
from detector.data.output_format import OutputFormat
from detector.data.synthetic import LabelledBy
from detector.names import readable
from detector.storage.output import STDOUT, require_output, write_output
from detector.wording import counted

if TYPE_CHECKING:
    from detector.data.check import CheckReport
    from detector.data.data_set import Reading
    from detector.data.folds import Manifest

app = typer.Typer(
    name="data", help="Check, convert, split or draw a data set.", no_args_is_help=True
)

_DEFAULTS = DataConfig()
_FOLD_DEFAULTS = FoldsConfig()
_SHOWN = 200
"""Problems in a table; a format that is read wrongly has one a box."""
_LEVEL_STYLES = {"error": "bold red", "skip": "yellow", "warning": "cyan"}

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="The data set: a folder or an s3:// URL.", envvar="DETSWEEP_DATA"
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of index.csv whose pages stay together; by default `group` or the only one "
        "that ends in `_group`.",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="folder|PATTERN",
        help="Keep pages of one folder together, or those in whose names a regular expression "
        "finds the same, as in '^(shop[0-9]+)_' (`data.group_by`).",
    ),
]
MaxPixels = Annotated[int, typer.Option(min=1, help="Refuse images with more pixels.")]


class TextLevel(StrEnum):
    """What `convert` gives an outline of its own."""

    AS_LABELLED = "as-labelled"
    LINE = "line"


@app.command()
def check(
    source: Source,
    group_column: GroupColumn = None,
    group_by: GroupBy = None,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
    max_pixels: MaxPixels = _DEFAULTS.max_pixels,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page that shows the problems drawn, too."),
    ] = None,
) -> None:
    """Look at every image and every box; exit with 1 if there are errors."""
    from detector.data.data_set import Reading

    require_output(file=html)
    report = _check(source, max_pixels, Reading(group_column, label_format, held_out, group_by))
    if html is not None:
        from detector.report.problem_pages import problem_pages

        write_output(html, problem_pages(report, readable(source), max_pixels).encode())
    if as_json:
        typer.echo(report.to_json(), nl=False)
    else:
        _print_report(report)
        if report.of_level("error") and report.kept:
            plain_console().print(
                "→ mend what is wrong, or leave it out: `detsweep data convert --drop-bad` writes "
                "a copy without it"
            )
    if report.of_level("error"):
        raise typer.Exit(1)


@app.command()
def convert(
    source: Source,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder to write; must not exist yet.")
    ],
    to: Annotated[OutputFormat, typer.Option(help="Format of the annotations.")] = (
        OutputFormat.ICDAR
    ),
    drop_bad: Annotated[
        bool,
        typer.Option(
            "--drop-bad",
            help="Leave out boxes that have errors, whose places become don't care, and pages of "
            "which nothing is left.",
        ),
    ] = False,
    level: Annotated[
        TextLevel,
        typer.Option(help="`line` joins words to lines, by the rule of docs/data-sets.md."),
    ] = TextLevel.AS_LABELLED,
    group_column: GroupColumn = None,
    group_by: GroupBy = None,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
    max_pixels: MaxPixels = _DEFAULTS.max_pixels,
) -> None:
    """Write a clean copy of a data set."""
    from detector.data.convert import require_target, write_data_set
    from detector.data.data_set import Reading
    from detector.data.problem import refuse_errors
    from detector.data.to_lines import joined_to_lines

    require_target(target, source)
    report = _check(source, max_pixels, Reading(group_column, label_format, held_out, group_by))
    if not drop_bad:
        refuse_errors(report.problems, source)
    _print_report(report)
    pages = report.kept
    if level is TextLevel.LINE:
        pages = tuple(replace(page, boxes=tuple(joined_to_lines(page.boxes))) for page in pages)
    write_data_set(pages, target, to)
    left_out = (
        f", without {counted(report.dropped_boxes, 'bad box')}" if report.dropped_boxes else ""
    )
    plain_console().print(f"wrote {counted(len(report.kept), 'page')} to {target}{left_out}")


@app.command()
def folds(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write.")] = Path("folds.json"),
    count: Annotated[int, typer.Option(min=2, help="How many folds.")] = _FOLD_DEFAULTS.count,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes another split.")] = 0,
    held_out_fraction: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.999,
            callback=finite,
            help="Share of the boxes to hold out where no page is yet; 0 holds out nothing.",
        ),
    ] = _DEFAULTS.held_out_fraction,
    group_column: GroupColumn = None,
    group_by: GroupBy = None,
    label_format: LabelFormat = None,
    held_out: HeldOut = None,
) -> None:
    """Split a data set into folds by whole groups."""
    from detector.data.alike import find_alike
    from detector.data.data_set import DataSet, Reading
    from detector.data.folds import make_folds

    pages = DataSet.read(source, Reading(group_column, label_format, held_out, group_by)).pages()
    manifest = make_folds(pages, count, seed, held_out_fraction, find_alike(pages))
    write_output(out, manifest.to_json().encode())
    # Beside the result, which `-` puts on the standard output.
    plain_console(stderr=out == STDOUT).print(_folds_table(manifest), f"wrote {out}", sep="\n")


@app.command()
def synth(
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Folder to write; must not exist yet.")
    ],
    train: Annotated[int, typer.Option(min=1, help="Pages to train on.")] = 48,
    held_out: Annotated[int, typer.Option(min=0, help="Pages to hold out.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other receipts.")] = 0,
    by: Annotated[
        LabelledBy, typer.Option(help="What has an outline of its own.")
    ] = LabelledBy.LINES,
) -> None:
    """Draw receipts, to try detsweep without a data set."""
    from detector.data.synthetic.drawing import draw_receipts

    with counting("drawing") as show:
        draw_receipts(target, train=train, held_out=held_out, seed=seed, by=by, on_progress=show)
    plain_console().print(f"drew {train + held_out} receipts in {target}")


def _check(source: str, max_pixels: int, reading: "Reading") -> "CheckReport":
    from detector.data.check import check_data
    from detector.data.source import fetch

    root = fetch(source)
    with counting("checking images") as show:
        return check_data(root, max_pixels=max_pixels, reading=reading, on_progress=show)


def _print_report(report: "CheckReport") -> None:
    console = plain_console()
    if report.problems:
        table = Table("level", "file", "line", "reason")
        shown = sorted(
            report.problems, key=lambda problem: list(_LEVEL_STYLES).index(problem.level)
        )
        for problem in shown[:_SHOWN]:
            table.add_row(
                Text(problem.level, _LEVEL_STYLES[problem.level]),
                problem.file,
                "" if problem.line is None else str(problem.line),
                problem.reason + (f"\n→ {problem.remedy}" if problem.remedy else ""),
            )
        console.print(table)
        if len(shown) > _SHOWN:
            console.print(f"and {len(shown) - _SHOWN} more, which --json lists")
    if report.labels:
        console.print(f"labels: {report.labels}", highlight=False)
    facts = report.counts()
    grouped = (
        f"{counted(facts['groups'], 'group')} by {report.group_column}"
        if report.group_column
        else "no groups"
    )
    console.print(
        f"{counted(facts['pages'], 'usable page')} ({facts['held_out_pages']} held out), "
        f"{counted(facts['boxes'], 'box')} ({facts['ignored_boxes']} ignored), {grouped}: "
        f"{counted(facts['errors'], 'error')}, {facts['skipped']} skipped, "
        f"{counted(facts['warnings'], 'warning')}",
        highlight=False,
    )


def _folds_table(manifest: "Manifest") -> Table:
    table = Table("fold", "pages", "boxes", "groups")
    for fold in [*range(manifest.count), None]:
        entries = [entry for entry in manifest.pages if entry.fold == fold]
        table.add_row(
            "held out" if fold is None else str(fold),
            str(len(entries)),
            str(sum(entry.boxes for entry in entries)),
            str(len({entry.group or entry.name for entry in entries})),
        )
    return table

"""`detsweep sweep check`: what would waste GPU time in a sweep file, and its mended form."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from detector.cli.completing import Overrides
from detector.console import plain_console
from detector.errors import SweepError
from detector.storage.atomic import write_atomically

if TYPE_CHECKING:
    from detector.sweepfile.check import Finding
    from detector.sweepfile.check.mending import Mending, Step

_ERRORS_FOUND_EXIT_CODE = 1
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A sweep file, in the schema of `wandb sweep`.")
    ],
    overrides: Overrides = None,
    agents: Annotated[
        int | None, typer.Option(min=1, help="How many agents are going to work on it.")
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Write the mended file, show what changed, and keep the file as it was beside it; "
            "comments and order stay.",
        ),
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what --fix would change, and write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find what would waste GPU time before any is spent. Exits with 1 where there are errors."""
    from detector.sweepfile.check import check_sweep, configs_of
    from detector.sweepfile.check.mending import mend
    from detector.sweepfile.spec import read_sweep_file

    text = read_sweep_file(file)
    configs = configs_of(overrides or [])
    mending = mend(text, str(file), configs, agents) if fix or diff else None
    backup: Path | None = None
    if mending is not None and fix and mending.text != text:
        backup = write_keeping_the_old(file.resolve(), text.encode(), mending.text.encode())
    shown = mending.text if mending is not None and fix else text
    findings = check_sweep(shown, str(file), configs, agents)
    if as_json:
        tree = _as_tree(file, findings, mending, backup)
        typer.echo(json.dumps(tree, indent=2, ensure_ascii=False, default=str))
    else:
        if mending is not None:
            _print_mending(file, mending, backup, is_written=fix)
        _print_findings(file, findings, mending if fix else None)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(_ERRORS_FOUND_EXIT_CODE)


def describe(finding: "Finding", where: str) -> str:
    """A finding as lines for a person."""
    return (
        f"{where}:{finding.line}: {finding.level}: {finding.problem}  [{finding.rule}]\n"
        f"    {finding.cost}\n"
        f"  → {finding.fix}"
    )


def write_keeping_the_old(file: Path, old: bytes, new: bytes) -> Path:
    """Write a file again and keep what it held in a file of its own beside it, whose path is
    returned. No older copy is written over.

    Raises:
        SweepError: the file is not `old` any more, or it cannot be written. It is as it was.
    """
    try:
        if file.read_bytes() != old:
            raise SweepError(
                "the file has changed while it was checked, and is left as it is",
                where=str(file),
                remedy="start the command again",
            )
        backup = _write_backup(file, old)
        mode = file.stat().st_mode
        mode = file.stat().st_mode
        # Where it lies, if `file` is a link.
        write_atomically(file.resolve(), new)
        file.chmod(mode)
    except OSError as error:
        raise SweepError(
            f"the mended file cannot be written: {error}",
            where=str(file),
            remedy="check who may write there; without --fix, --diff shows what would change",
        ) from error
    return backup


def _write_backup(file: Path, content: bytes) -> Path:
    for number in itertools.count(1):
        backup = file.with_name(f"{file.name}.{number}.bak" if number > 1 else f"{file.name}.bak")
        try:
            with backup.open("xb") as stream:
                stream.write(content)
        except FileExistsError:
            continue
        return backup
    raise AssertionError  # there are enough numbers


def _print_mending(
    file: Path, mending: "Mending", backup: Path | None, *, is_written: bool
) -> None:
    console = plain_console()
    word = "mended" if is_written else "would be mended"
    for step in mending.steps:
        _print_lines(
            console,
            f"{file}:{step.finding.line}: {word}: {step.finding.problem}",
            *(f"  → {line}" for line in step.announced()),
        )
    for finding, harm in mending.refused:
        _print_lines(
            console,
            f"{file}:{finding.line}: not mended: {finding.problem}",
            f"  → the fix would make the file worse: {harm}",
        )
    for line in mending.diff(str(file)):
        console.print(Text(line, style=_DIFF_STYLES.get(line[:1], "")), soft_wrap=True)
    if backup is not None:
        _print_lines(console, f"the file as it was: {backup}")


def _print_lines(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _print_findings(file: Path, findings: "Sequence[Finding]", mending: "Mending | None") -> None:
    from detector.sweepfile.check import LEVELS

    for finding in findings:
        typer.echo(describe(finding, str(file)))
    counts = Counter(finding.level for finding in findings)
    said = [f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in LEVELS]
    mended = f", {len(mending.steps)} mended" if mending and mending.steps else ""
    typer.echo(f"{file}: {', '.join(said)}{mended}")


def _as_tree(
    file: Path, findings: "Sequence[Finding]", mending: "Mending | None", backup: Path | None
) -> dict[str, object]:
    steps = mending.steps if mending else ()
    refused = mending.refused if mending else ()
    return {
        "file": str(file),
        "findings": [_finding_tree(finding) for finding in findings],
        "mended": [_step_tree(step) for step in steps],
        "not_mended": [{**_about(finding), "reason": harm} for finding, harm in refused],
        "diff": mending.diff(str(file)) if mending else [],
        "backup": backup and str(backup),
    }


def _finding_tree(finding: "Finding") -> dict[str, object]:
    return {**_about(finding), "edits": [asdict(edit) for edit in finding.edits]}


def _step_tree(step: "Step") -> dict[str, object]:
    changes = [change.to_dict() for change in step.changes]
    return {**_about(step.finding), "changes": changes, "lost": list(step.lost)}


def _about(finding: "Finding") -> dict[str, object]:
    """A finding without its edits, whose places are those of a text that is never written."""
    tree = asdict(finding)
    del tree["edits"]
    return tree

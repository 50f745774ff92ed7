"""`detsweep sweep check`: what would waste GPU time in a sweep file, and its mended form."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from detector.storage.atomic import write_atomically
from detector.sweepfile.check import LEVELS, Finding, check_sweep, configs_of, fix_sweep
from detector.sweepfile.spec import read_sweep_file

_ERRORS_FOUND_EXIT_CODE = 1


def check(
    file: Annotated[Path, typer.Argument(help="A sweep file, in the schema of `wandb sweep`.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="As for `sweep init`, such as `preset=receipts_cpu`."
        ),
    ] = None,
    agents: Annotated[
        int | None, typer.Option(min=1, help="How many agents are going to work on it.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write the mended file; comments and order stay.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find what would waste GPU time before any is spent. Exits with 1 where there are errors."""
    text = read_sweep_file(file)
    configs = configs_of(overrides or [])
    findings = check_sweep(text, str(file), configs, agents)
    mended: list[Finding] = []
    if fix:
        fixed = fix_sweep(text, str(file), configs, agents)
        if fixed != text:
            write_atomically(file.resolve(), fixed.encode())
        left = check_sweep(fixed, str(file), configs, agents)
        mended = [f for f in findings if f.level != "note" and not _is_among(f, left)]
        findings = left
    if as_json:
        typer.echo(json.dumps(_as_tree(file, findings, mended), indent=2, ensure_ascii=False))
    else:
        _print(file, findings, mended)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(_ERRORS_FOUND_EXIT_CODE)


def describe(finding: Finding, where: str) -> str:
    """A finding as lines for a person."""
    return (
        f"{where}:{finding.line}: {finding.level}: {finding.problem}  [{finding.rule}]\n"
        f"    {finding.cost}\n"
        f"  → {finding.fix}"
    )


def _is_among(finding: Finding, others: Sequence[Finding]) -> bool:
    return any((o.rule, o.problem) == (finding.rule, finding.problem) for o in others)


def _print(file: Path, findings: Sequence[Finding], mended: Sequence[Finding]) -> None:
    for finding in mended:
        typer.echo(f"{file}:{finding.line}: mended: {finding.problem}\n  → {finding.fix}")
    for finding in findings:
        typer.echo(describe(finding, str(file)))
    counts = Counter(finding.level for finding in findings)
    said = [f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in LEVELS]
    typer.echo(f"{file}: {', '.join(said)}{f', {len(mended)} mended' if mended else ''}")


def _as_tree(
    file: Path, findings: Sequence[Finding], mended: Sequence[Finding]
) -> dict[str, object]:
    return {
        "file": str(file),
        "findings": [_finding_tree(finding) for finding in findings],
        "mended": [_finding_tree(finding) for finding in mended],
    }


def _finding_tree(finding: Finding) -> dict[str, object]:
    tree = asdict(finding)
    return {**tree, "edits": [asdict(edit) for edit in finding.edits]}

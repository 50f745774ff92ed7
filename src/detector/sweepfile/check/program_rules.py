"""Rules about `program` and `command`: whether what they start is found, informed and heard."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from detector.sweepfile.check.finding import Finding
from detector.sweepfile.check.subject import Subject
from detector.sweepfile.command import ARGUMENT_MACROS, MACROS, macro_of

_FLAGS = ("args", "args_no_equals", "args_no_boolean_flags")
_READS_CONFIG = re.compile(r"wandb\.config|WANDB_SWEEP_PARAM_PATH")


def unknown_macro(subject: Subject) -> Iterator[Finding]:
    """W&B leaves out a macro that it does not know, without a word."""
    command = subject.document.get("command")
    for node in command.items if command else ():
        macro = macro_of(str(node.value))
        if macro is None or macro in MACROS:
            continue
        near = difflib.get_close_matches(macro, MACROS, n=1)
        yield Finding(
            "error",
            node.start_mark.line + 1,
            f"there is no macro ${{{macro}}}",
            "W&B leaves it out without a word: the program starts with other words than meant",
            f"write ${{{near[0]}}}" if near else f"choose one of {', '.join(MACROS)}",
            (subject.document.replace(node, f'"${{{near[0]}}}"'),) if near else (),
        )


def program_missing(subject: Subject) -> Iterator[Finding]:
    """A program that is not where the agent would look for it."""
    entry = subject.document.get("program")
    if entry is None or subject.trains_detector or not isinstance(entry.value, str):
        return
    command = subject.document.value("command")
    is_run = not isinstance(command, list) or "${program}" in command
    if not is_run or not entry.value.endswith(".py") or Path(entry.value).is_file():
        return
    yield Finding(
        "warning",
        entry.line,
        f"there is no file {entry.value} in {Path.cwd()}",
        "every trial fails at once where the agents run like this",
        "start check and agents where the program lies; or take `program` and `command` out, "
        "if detsweep is to train its own detector",
    )


def parameters_not_handed_over(subject: Subject) -> Iterator[Finding]:
    """A command that names none of its parameters."""
    command = subject.document.get("command")
    if command is None or subject.trains_detector:
        return
    macros = {macro_of(str(node.value)) for node in command.items}
    if macros & set(ARGUMENT_MACROS):
        return
    source = _source(subject)
    if source is not None and _READS_CONFIG.search(source):
        return
    yield Finding(
        "note",
        command.line,
        "the command hands over no parameters",
        "every trial is the same one, unless the program reads wandb.config",
        'add "${args}" to the command',
    )


def nested_parameters_as_one_flag(subject: Subject) -> Iterator[Finding]:
    """W&B hands a nested parameter over as one flag that holds a mapping."""
    if subject.trains_detector:
        return
    nested = [p for p in subject.parameters if p.entry.name != p.name]
    command = subject.document.get("command")
    macros = {macro_of(str(node.value)) for node in command.items} if command else {"args"}
    if nested and macros & set(_FLAGS):
        top = nested[0].name.split(".")[0]
        yield Finding(
            "note",
            nested[0].entry.line,
            f"the parameters below {top} are nested",
            f"the program gets them as one flag, --{top}={{…}}, which few programs read",
            "write them with dots, or use ${args_json_file}",
        )


def metric_not_in_the_program(subject: Subject) -> Iterator[Finding]:
    """A metric whose name does not occur in the program."""
    entry, source = subject.document.get("metric", "name"), _source(subject)
    if entry is None or source is None or subject.metric is None or subject.trains_detector:
        return
    last = re.split(r"[/.]", subject.metric)[-1]
    if subject.metric in source or re.search(rf"\b{re.escape(last)}\b", source):
        return
    yield Finding(
        "warning",
        entry.line,
        f"{subject.document.value('program')} does not mention {subject.metric!r}",
        "if it is not logged, no trial gets a score, and nothing is learnt or stopped",
        "check the name that the program logs",
    )


def imputation_without_effect(subject: Subject) -> Iterator[Finding]:
    """How W&B's engine scores what has no score."""
    for key in ("impute", "impute_while_running"):
        entry = subject.document.get("metric", key)
        if entry is not None:
            yield Finding(
                "note",
                entry.line,
                f"{key} is for W&B's engine",
                "detsweep's search goes by the curves of running trials, and gives failed ones no "
                "score",
                "leave it for W&B, or take it out",
            )


def _source(subject: Subject) -> str | None:
    """The program's text, if it lies here."""
    program = subject.document.value("program")
    try:
        return Path(program).read_text(encoding="utf-8") if isinstance(program, str) else None
    except (OSError, UnicodeDecodeError):
        return None


RULES = (
    unknown_macro,
    program_missing,
    parameters_not_handed_over,
    nested_parameters_as_one_flag,
    metric_not_in_the_program,
    imputation_without_effect,
)

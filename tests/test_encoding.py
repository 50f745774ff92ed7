"""Text is the same on Linux, macOS and Windows."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_text_is_read_and_written_as_utf_8() -> None:
    names = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout.split()
    found = [
        f"{name}:{call.lineno}"
        for name in names
        for call in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and is_text_of_any_encoding(call)
    ]
    assert not found, "give encoding='utf-8': Windows has an encoding of its own"


def is_text_of_any_encoding(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding of whatever machine it runs on."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or None in given:
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) == 1
    asked_for_text = given.get("text", given.get("universal_newlines"))
    return isinstance(asked_for_text, ast.Constant) and asked_for_text.value is True

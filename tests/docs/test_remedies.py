"""Every error that a person can meet says what to do about it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import detector
from detector.errors import DetsweepError

ROOT = Path(__file__).parents[2]
FOLDERS = ("src/detector", "components", "pipelines")


def error_classes() -> set[str]:
    """The names of `DetsweepError` and of all that is derived from it, wherever it stands."""
    known = {name for name in detector.__all__ if name.endswith("Error")}
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while found := {name for name, of in bases.items() if of & known} - known:
        known |= found
    return known


def trees() -> dict[Path, ast.Module]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path: ast.parse(path.read_text()) for path in files}


def has_remedy_of_its_own(classes: set[str]) -> set[str]:
    """Classes whose constructor sets a remedy."""
    return {
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name in classes
        if any(isinstance(item, ast.FunctionDef) and item.name == "__init__" for item in node.body)
    } - {DetsweepError.__name__}


def errors_without_remedy() -> Iterator[str]:
    classes = error_classes()
    classes -= has_remedy_of_its_own(classes)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            passes_on = any(keyword.arg is None for keyword in node.keywords)
            named = any(keyword.arg == "remedy" for keyword in node.keywords)
            if node.func.id in classes and not (named or passes_on):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.func.id} has no remedy"


def test_every_error_has_a_remedy() -> None:
    missing = list(errors_without_remedy())
    assert not missing, "\n".join(missing)

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
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}


def has_remedy_of_its_own(classes: set[str]) -> set[str]:
    """Classes whose constructor passes a remedy on to that of its base."""
    return {
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name in classes
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name == "__init__"
        if any(isinstance(call, ast.Call) and gives_remedy(call) for call in ast.walk(item))
    } - {DetsweepError.__name__}


def gives_remedy(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "remedy"]
    return bool(given) and not (isinstance(given[0], ast.Constant) and not given[0].value)


def without_remedy(tree: ast.AST, classes: set[str]) -> Iterator[tuple[int, str]]:
    """Line and class of each error that says nothing of what to do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if name in classes and not gives_remedy(node):
                yield node.lineno, str(name)


def test_every_error_has_a_remedy() -> None:
    classes = error_classes()
    classes -= has_remedy_of_its_own(classes)
    missing = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in trees().items()
        for line, name in without_remedy(tree, classes)
    ]
    assert not missing, "\n".join(missing)


def test_an_error_without_a_remedy_would_be_found() -> None:
    code = """raise DataError("no page")\nraise errors.DataError("no page", remedy="")"""
    assert list(without_remedy(ast.parse(code), {"DataError"})) == [
        (1, "DataError"),
        (2, "DataError"),
    ]

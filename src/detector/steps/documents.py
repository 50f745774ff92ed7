"""Typed values as JSON files of a run store. What is read is what was written, or an error."""

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from detector.errors import StoreError
from detector.storage.run_store import RunStore

T = TypeVar("T")


def write_document(store: RunStore, key: str, document: object) -> None:
    """Put a dataclass of plain values, lists, mappings and further dataclasses.

    A number may be NaN or infinite: it is written as `json` of Python does.
    """
    store.write(key, to_json(document, indent=1, inf_nan_mode="constants") + b"\n")


def read_document(store: RunStore, key: str, kind: type[T]) -> T | None:
    """The value that was written, None where there is none.

    Raises:
        StoreError: the file holds something else.
    """
    if not store.exists(key):
        return None
    try:
        document: T = TypeAdapter(kind).validate_json(store.read(key))
        return document
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise StoreError(
            f"{place} is not as this version of detsweep writes it: {first['msg']}",
            where=store.url(key),
            remedy="if it is damaged, put it back from a copy, or delete it and run the step that "
            "writes it again; else go on with the version that wrote it, or in another store",
        ) from error

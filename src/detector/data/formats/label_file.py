"""A file that may hold labels. What it holds is read once, and by nobody who does not ask."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from detector.data.images import read_bytes
from detector.errors import DataError

_DECLARATION = re.compile(r"^\s*<\?xml.*?\?>", re.DOTALL)


@dataclass(frozen=True)
class LabelFile:
    """A file that may hold labels.

    Attributes:
        path: of the file.
        name: the path below the data set's root, with `/` between folders.
        image: the image that the file is named after; None where it is named after none.
        is_shared: whether it may hold labels of other parts of the data set too.
    """

    path: Path
    name: str
    image: Path | None = None
    is_shared: bool = False

    @cached_property
    def text(self) -> str:
        """The content; a byte order mark is no part of it, and lines end with a line feed.

        Raises:
            DataError: it cannot be read, or is neither UTF-8 nor marked as UTF-16.
        """
        content = read_bytes(self.path)
        is_utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            text = content.decode("utf-16" if is_utf_16 else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(
                f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}",
                where=self.name,
                remedy="save the file as UTF-8",
            ) from error
        # Old Macs ended lines with a carriage return alone. Not splitlines(): a text may hold any
        # of Unicode's rarer line ends.
        return text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")

    @cached_property
    def lines(self) -> list[tuple[int, str]]:
        """The lines that are not blank, each with its number."""
        numbered = enumerate(self.text.split("\n"), start=1)
        return [(number, line) for number, line in numbered if line.strip()]

    @cached_property
    def tree(self) -> Any:
        """What its JSON says.

        Raises:
            DataError: it cannot be read or is no JSON, or an object names a key twice.
        """
        try:
            return json.loads(self.text, object_pairs_hook=_refuse_duplicates)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"not JSON: {error}", where=self.name, remedy="export the labels again"
            ) from error

    def forget(self) -> None:
        """Let go of the content: of a large data set it fills the memory."""
        for name in ("text", "lines", "tree", "tree_or_none", "xml"):
            self.__dict__.pop(name, None)

    @cached_property
    def xml(self) -> ElementTree.Element | None:
        """The root of its XML; None where it is to hold none, by its name.

        Raises:
            DataError: it cannot be read or is no XML, or declares a document type.
        """
        if self.path.suffix.lower() != ".xml":
            return None
        if "<!DOCTYPE" in self.text or "<!ENTITY" in self.text:
            # Entities that stand for entities fill the memory.
            raise DataError("declares a document type", where=self.name, remedy="take it out")
        try:
            # The text is decoded already, whatever encoding its first line declares.
            return ElementTree.fromstring(_DECLARATION.sub("", self.text))  # see above
        except ElementTree.ParseError as error:
            raise DataError(
                f"not XML: {error}", where=self.name, remedy="export the labels again"
            ) from error

    @cached_property
    def tree_or_none(self) -> Any:
        """What its JSON says, whatever its name is; None where it holds no JSON."""
        try:
            return self.tree
        except DataError:
            return None

    @property
    def is_json(self) -> bool:
        """Whether it is to hold one JSON value, by its name."""
        return self.path.suffix.lower() == ".json"

    def has(self, **parts: type) -> bool:
        """Whether it holds a JSON object with values of these types at these keys.

        Raises:
            DataError: see `tree`.
        """
        if not self.is_json or not isinstance(self.tree, dict):
            return False
        return all(isinstance(self.tree.get(key), kind) for key, kind in parts.items())


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return tree

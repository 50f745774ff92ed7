"""A sweep file as text whose every key has a place: what findings point to and edits change.

An edit replaces exact spans of characters, so that comments, order, quotes and line ends around it
stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import yaml

from detector.errors import SweepError
from detector.sweepfile.check.finding import Edit
from detector.sweepfile.space import Distribution
from detector.sweepfile.spec import DOTLESS_TAG, SweepLoader, document_of, parse_distribution

MERGE = "<<"
"""YAML's key that takes the keys of other mappings in."""


@dataclass(frozen=True)
class Entry:
    """A key of a mapping, and what stands behind it."""

    name: str
    key: yaml.Node
    node: yaml.Node
    owner: yaml.MappingNode

    @property
    def line(self) -> int:
        """From 1."""
        return self.key.start_mark.line + 1

    @property
    def value(self) -> object:
        """As Python values; None too where the node holds a key twice."""
        return value_of(self.node)

    @property
    def items(self) -> list[yaml.Node]:
        """The nodes of a list; none where it is none."""
        return self.node.value if isinstance(self.node, yaml.SequenceNode) else []


@dataclass(frozen=True)
class Parameter:
    """A parameter of the sweep, valid or not, by its dotted name."""

    name: str
    entry: Entry
    settings: Mapping[str, Entry]

    @cached_property
    def distribution(self) -> Distribution | None:
        """None where its settings make none."""
        try:
            return parse_distribution(self.entry.value, "", self.name)
        except SweepError:
            return None

    def number(self, setting: str) -> int | float | None:
        """A setting's value where it is a number."""
        entry = self.settings.get(setting)
        value = entry.value if entry else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        return None


class Document:
    """A sweep file's text and the nodes in it.

    Raises:
        yaml.YAMLError: it is no YAML.
        SweepError: it holds no mapping.
    """

    def __init__(self, text: str):
        self.text = text
        root = document_of(text)
        if not isinstance(root, yaml.MappingNode):
            raise SweepError(
                "a mapping with `method` and `parameters` is expected",
                remedy="begin with those of sweeps/quickstart.yaml",
            )
        self.root = root

    @cached_property
    def has_aliases(self) -> bool:
        """Whether a value stands in several places, so that an edit of it changes all of them."""
        return any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(self.text))

    def get(self, *path: str) -> Entry | None:
        """The entry at a path of keys; of a key that stands twice, the last, as YAML has it."""
        owner: yaml.Node = self.root
        found: Entry | None = None
        for name in path:
            found = _last(owner, name)
            if found is None:
                return None
            owner = found.node
        return found

    def value(self, *path: str) -> object:
        """What stands at a path of keys; None where nothing does."""
        entry = self.get(*path)
        return entry.value if entry else None

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The parameters, nested ones by their whole name."""
        section = self.get("parameters")
        return list(_parameters(section.node, "")) if section else []

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of a name."""
        return next((p for p in self.parameters if p.name == name), None)

    def line_of(self, dotted: str) -> int:
        """The line of a place such as `parameters.a.b.min`, or of the nearest above it."""
        section, _, rest = dotted.partition(".")
        if section == "parameters":
            for parameter in self.parameters:
                setting = rest.removeprefix(parameter.name).lstrip(".")
                if rest.startswith(parameter.name) and setting in parameter.settings:
                    return parameter.settings[setting].line
                if rest == parameter.name or rest.startswith(f"{parameter.name}."):
                    return parameter.entry.line
        entry = self.get(section, *filter(None, [rest])) or self.get(section)
        return entry.line if entry else 1

    def mappings(self) -> Iterator[yaml.MappingNode]:
        """Every mapping of the file."""
        return _mappings(self.root)

    def scalars(self) -> Iterator[yaml.ScalarNode]:
        """Every value of the file that is no list and no mapping."""
        return _scalars(self.root)

    def replace(self, node: yaml.Node, text: str) -> Edit:
        """The edit that puts a text in the place of a node."""
        return Edit(node.start_mark.index, content_end(node), text)

    def insert_after(self, entry: Entry, line: str) -> Edit:
        """Put `key: value` behind an entry, into the same mapping."""
        end = content_end(entry.node)
        if entry.owner.flow_style:
            return Edit(end, end, f", {line}")
        end = _line_end(self.text, end)
        newline = "\r\n" if "\r\n" in self.text else "\n"
        return Edit(end, end, f"{newline}{' ' * entry.key.start_mark.column}{line}")

    def remove(self, entry: Entry) -> Edit:
        """Take an entry out of its mapping."""
        pairs = [(key, node) for key, node in entry.owner.value]
        number = next(i for i, (key, _) in enumerate(pairs) if key is entry.key)
        spans = [(key.start_mark.index, content_end(node)) for key, node in pairs]
        return self._cut(spans, number, in_flow=bool(entry.owner.flow_style))

    def remove_items(self, entry: Entry, numbers: Sequence[int]) -> tuple[Edit, ...]:
        """Take items out of a list, which keeps at least one."""
        if isinstance(entry.node, yaml.SequenceNode) and entry.node.flow_style:
            kept = [node for i, node in enumerate(entry.items) if i not in numbers]
            words = [self.text[n.start_mark.index : content_end(n)] for n in kept]
            return (self.replace(entry.node, f"[{', '.join(words)}]"),)
        spans = [(node.start_mark.index, content_end(node)) for node in entry.items]
        return tuple(self._cut(spans, number, in_flow=False) for number in numbers)

    def append_items(self, entry: Entry, words: Sequence[str]) -> tuple[Edit, ...]:
        """Put values behind the last of a list."""
        last = entry.items[-1]
        end = content_end(last)
        if isinstance(entry.node, yaml.SequenceNode) and not entry.node.flow_style:
            indent = " " * entry.node.start_mark.column
            return (Edit(end, end, "".join(f"\n{indent}- {word}" for word in words)),)
        return (Edit(end, end, "".join(f", {word}" for word in words)),)

    def _cut(self, spans: Sequence[tuple[int, int]], number: int, *, in_flow: bool) -> Edit:
        start, end = spans[number]
        if not in_flow:
            line_start = self.text.rfind("\n", 0, start) + 1
            return Edit(line_start, min(_line_end(self.text, end) + 1, len(self.text)), "")
        if number > 0:
            return Edit(spans[number - 1][1], end, "")
        if len(spans) > 1:
            return Edit(start, spans[1][0], "")
        return Edit(start, end, "")


def value_of(node: yaml.Node) -> object:
    """A node as Python values; None too where it holds a key twice, or a date that is none."""
    try:
        return SweepLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):
        return None


def plain_value(node: yaml.Node) -> object:
    """A node as W&B reads it: 1e-5 is text, and of a key that stands twice the last counts."""
    if isinstance(node, yaml.MappingNode):
        return {entry.name: plain_value(entry.node) for entry in whole_entries(node)}
    if isinstance(node, yaml.SequenceNode):
        return [plain_value(item) for item in node.value]
    return node.value if node.tag == DOTLESS_TAG else value_of(node)


def content_end(node: yaml.Node) -> int:
    """The index behind a node's last character; YAML's own mark may lie behind comments."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return content_end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _last(owner: yaml.Node, name: str) -> Entry | None:
    found = [entry for entry in whole_entries(owner) if entry.name == name]
    return found[-1] if found else None


def entries(owner: yaml.Node) -> list[Entry]:
    """The keys of a mapping in order, those that stand twice included."""
    if not isinstance(owner, yaml.MappingNode):
        return []
    return [Entry(str(value_of(key)), key, node, owner) for key, node in owner.value]


def whole_entries(owner: yaml.Node) -> list[Entry]:
    """The keys of a mapping, in place of `<<` those that it takes in, before its own."""
    found = entries(owner)
    merged = [
        entry
        for merge in found
        if merge.name == MERGE
        for node in (merge.items or [merge.node])[::-1]  # of several, the first counts
        for entry in whole_entries(node)
    ]
    return [*merged, *(entry for entry in found if entry.name != MERGE)]


def _parameters(owner: yaml.Node, prefix: str) -> Iterator[Parameter]:
    for entry in whole_entries(owner):
        name = f"{prefix}{entry.name}"
        nested = _last(entry.node, "parameters")
        if nested is not None:
            yield from _parameters(nested.node, f"{name}.")
        else:
            yield Parameter(name, entry, {e.name: e for e in whole_entries(entry.node)})


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, child in node.value:
            yield from _mappings(child)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _mappings(child)


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.MappingNode):
        for _, child in node.value:
            yield from _scalars(child)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _scalars(child)


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if text[end - 1] == "\r" else end

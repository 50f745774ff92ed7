"""The keys of the configuration: what each may be, what it is by default, and what it does.

All of it is read from the schema (`detector.config.schema`), where it is said once.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from detector.config.schema import Config

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "multipleOf": "a multiple of {}",
}
_TYPES = {
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "null": "null",
}


@dataclass(frozen=True)
class Key:
    """A key that a preset, an override or a sweep may set.

    Attributes:
        name: dotted.
        type: what a value may be, in words.
        default: its value where nothing sets it.
        meaning: what it does; empty where the schema does not say.
        choices: its values as they are typed, where there are only a few.
        is_text: whether it is a text, a name, a path or a URL, which is never read as YAML.
        may_be_null: whether `null` may stand for it.
    """

    name: str
    type: str
    default: object
    meaning: str
    choices: tuple[str, ...] = ()
    is_text: bool = False
    may_be_null: bool = False

    @property
    def shown_default(self) -> str:
        """The default as it would be typed, without a space."""
        if isinstance(self.default, str):
            return self.default
        return json.dumps(self.default, separators=(",", ":"))


def all_keys() -> list[Key]:
    """Every key, in the schema's order.

    >>> key = next(key for key in all_keys() if key.name == "data.batch_size")
    >>> key.type, key.default, key.meaning
    ('whole number, at least 1', 2, 'Crops in one training step on one device.')
    """
    schema = Config.model_json_schema()
    return list(_keys(schema, schema["$defs"], Config().to_dict(), ""))


@cache
def known_keys() -> tuple[str, ...]:
    """The name of every key."""
    return tuple(key.name for key in all_keys())


@cache
def text_keys() -> dict[str, Key]:
    """The keys that hold text, by name.

    >>> text_keys()["models.init"].may_be_null, "trainer.max_epochs" in text_keys()
    (True, False)
    """
    return {key.name: key for key in all_keys() if key.is_text}


def _keys(
    section: Mapping[str, Any],
    sections: Mapping[str, Any],
    values: Mapping[str, Any],
    prefix: str,
) -> Iterator[Key]:
    for name, said in section["properties"].items():
        if "$ref" in said:
            inner = sections[said["$ref"].rpartition("/")[2]]
            yield from _keys(inner, sections, values[name], f"{prefix}{name}.")
        else:
            meaning = " ".join(said.get("description", "").split())
            choices = ("true", "false") if said.get("type") == "boolean" else said.get("enum", ())
            types = {choice["type"] for choice in said.get("anyOf", [said])}
            yield Key(
                f"{prefix}{name}",
                _in_words(said),
                values[name],
                meaning,
                tuple(choices),
                is_text="string" in types,
                may_be_null="null" in types,
            )


def _in_words(said: Mapping[str, Any]) -> str:
    """
    >>> _in_words({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]})
    'whole number, at least 1; or null'
    """
    if "anyOf" in said:
        return "; or ".join(_in_words(choice) for choice in said["anyOf"])
    if "enum" in said:
        return "one of " + ", ".join(said["enum"])
    if said["type"] == "array":
        parts = said["prefixItems"]
        return f"[{', '.join(['number'] * len(parts))}]{_bounds(parts[0])}"
    return _TYPES[said["type"]] + _bounds(said)


def _bounds(said: Mapping[str, Any]) -> str:
    return "".join(f", {words.format(said[key])}" for key, words in _BOUNDS.items() if key in said)

"""From presets, dotted overrides and stored files to one checked `Config`."""

import difflib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from detector.config.keys import known_keys, text_keys
from detector.config.schema import Config
from detector.config.texts import keep_texts
from detector.errors import ConfigError, did_you_mean
from detector.names import require_utf8

_PRESETS = files("detector.config") / "presets"

NULL = "null"
"""The word for no value."""


def preset_names() -> list[str]:
    """The presets that come with detsweep."""
    return sorted(
        f.name.removesuffix(".yaml") for f in _PRESETS.iterdir() if f.name.endswith(".yaml")
    )


def preset_networks() -> set[str]:
    """The backbones that the presets name."""
    return {load_config([f"preset={name}"]).models.encoder.model_name for name in preset_names()}


def preset_summary(name: str) -> str:
    """What a preset that comes with detsweep is for: the comment that its file begins with.

    >>> preset_summary("receipts_cpu").partition(":")[0]
    'Receipts on two CPU cores'
    """
    text = (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ") for line in comment)


def load_config(overrides: Sequence[str] = ()) -> Config:
    """The configuration that `preset=NAME` and `dotted.key=value` words describe.

    The preset comes first wherever it stands; of two words for one key the later one wins. A value
    is read as YAML, and `3e-4` is a number; but where the key holds text, it is the text as it
    stands, `null` apart where that is allowed.

    >>> load_config(["preset=receipts_cpu", "trainer.max_epochs=3"]).trainer.max_epochs
    3
    >>> load_config(["data.path=set #1"]).data.path
    'set #1'

    Raises:
        ConfigError: an unknown key or preset, a wrong type, or a value out of range.
        DetsweepError: a value is no valid UTF-8.
    """
    words = [_split_word(word) for word in overrides]
    presets = [value for key, value in words if key == "preset"]
    params = {key: _parse_value(key, value) for key, value in words if key != "preset"}
    tree = _preset_tree(presets[-1]) if presets else {}
    return config_from_tree(_with_params(tree, params))


def changes_of_preset(config: Config) -> dict[str, object]:
    """The parameters that make `config`: its preset, and what differs from that. A preset that is
    a file of its own may not be there any more, and is spelt out.

    >>> config = load_config(["preset=quickstart", "trainer.max_epochs=3"])
    >>> changes_of_preset(config)
    {'preset': 'quickstart', 'trainer.max_epochs': 3}
    """
    preset = config.preset if config.preset in preset_names() else None
    usual = values_by_key(load_config([f"preset={preset}"] if preset else []))
    own = _flat({**config.to_dict(), "preset": preset})
    changed = {key: value for key, value in own.items() if value != usual[key]}
    return {"preset": preset, **changed} if preset else changed


def values_by_key(config: Config) -> dict[str, object]:
    """Every value of a configuration by its dotted key."""
    return _flat(config.to_dict())


def apply_params(config: Config, params: Mapping[str, object]) -> Config:
    """`config` with some keys changed, as a trial does.

    Raises:
        ConfigError: as for `load_config`.
    """
    return config_from_tree(_with_params(config.to_dict(), params))


def config_from_tree(tree: Mapping[str, Any]) -> Config:
    """Check a nested mapping, such as a stored configuration, against the schema."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise _as_config_error(error) from error


def stored_config(content: bytes, where: str) -> Config:
    """A configuration as a run wrote it, with every key: one that was cut short would go on with
    other values.

    Raises:
        ConfigError: it is damaged, or of a version with other keys.
    """
    tree = tree_from_yaml(content, where)
    config = config_from_tree(tree)
    missing = _flat(config.to_dict()).keys() - _flat(tree).keys()
    if missing:
        raise ConfigError(
            f"it says nothing of {', '.join(sorted(missing)[:3])}",
            where=where,
            remedy="put it back from a copy, or go on with the version that wrote it",
        )
    return config


def tree_from_yaml(content: bytes, where: str) -> dict[str, Any]:
    """The nested mapping of a preset's file or a stored configuration, unchecked.

    Raises:
        ConfigError: it is no YAML, or no mapping.
    """
    try:
        loader = yaml.SafeLoader(content.decode())
        document = loader.get_single_node()
        keep_texts(document)
        tree = loader.construct_document(document) if document else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no date
        raise ConfigError(
            f"not valid YAML: {error}", where=where, remedy="mend the file"
        ) from error
    if not isinstance(tree, dict):
        raise ConfigError("a mapping of keys is expected", where=where, remedy="see the presets")
    return tree


def nearest_key(key: str) -> str | None:
    """The known key most like `key`, or None where nothing is near."""
    keys = known_keys()
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    if near:
        return near[0]
    tail = key.rsplit(".", 1)[-1]
    return next((known for known in keys if known.rsplit(".", 1)[-1] == tail), None)


def _split_word(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise ConfigError(
            f"{word!r} is not of the form key=value",
            remedy="write overrides as dotted.key=value, for example trainer.max_epochs=20",
        )
    require_utf8(value, key)
    return key.lstrip("+-"), value


def _parse_value(key: str, text: str) -> object:
    """The value of a word. YAML 1.1 asks for a dot in `1e-5` and reads it as text; here it is a
    number.

    Raises:
        ConfigError: it is no YAML.
    """
    if known := text_keys().get(key):
        return None if known.may_be_null and text == NULL else text
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no such date
        raise ConfigError(
            f"{text!r} is no value",
            where=key,
            remedy=f"write it as in `detsweep config keys {key}`",
        ) from error
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _preset_tree(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise ConfigError("no such preset file", where=name, remedy="check the path")
        return {"preset": name, **tree_from_yaml(path.read_bytes(), name)}
    source = _PRESETS / f"{name}.yaml"
    if not source.is_file():
        raise ConfigError(
            f"no preset {name!r}{did_you_mean(name, preset_names())}",
            where="preset",
            remedy=f"choose one of {', '.join(preset_names())}, or give the path of a YAML file",
        )
    return {"preset": name, **tree_from_yaml(source.read_bytes(), f"preset {name}")}


def _with_params(tree: Mapping[str, Any], params: Mapping[str, object]) -> dict[str, Any]:
    result = _copy_tree(tree)
    for key, value in params.items():
        *parents, leaf = key.split(".")
        node = result
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise no_such_key(key)
            node = child
        node[leaf] = value
    return result


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Values by dotted key."""
    values: dict[str, object] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping)
        values |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return values


def _copy_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy_tree(v) if isinstance(v, Mapping) else v for k, v in tree.items()}


def no_such_key(key: str) -> ConfigError:
    """The error that names the nearest key."""
    near = nearest_key(key)
    remedy = f"did you mean {near!r}?" if near else "`detsweep config keys` lists what there is"
    return ConfigError("no such configuration key", where=key, remedy=remedy)


def _as_config_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return no_such_key(key)
    if first["type"] == "value_error":
        return ConfigError(
            str(first["ctx"]["error"]),
            where=key or "configuration",
            remedy="`detsweep config keys` says what each key may be",
        )
    return ConfigError(
        f"{first['input']!r} is not allowed: {first['msg']}",
        where=key,
        remedy="see `detsweep config show` for each key's value",
    )

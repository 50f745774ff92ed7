"""Presets, overrides and the errors that they can meet."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.config.keys import Key, all_keys, known_keys
from detector.config.loading import (
    apply_params,
    config_from_tree,
    load_config,
    nearest_key,
    preset_names,
)
from detector.errors import ConfigError

REFERENCE = [
    "preset=hrnet_w44_1280",
    "models.optimizer.lr=0.0003",
    "models.optimizer.weight_decay=0.00005",
    "models.scheduler.T_max=20",
    "models.scheduler.eta_min=0.000012",
    "trainer.max_epochs=20",
]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid(name: str) -> None:
    assert load_config([f"preset={name}"]).preset == name


def test_the_reference_preset_holds_the_reference() -> None:
    config = load_config(["preset=hrnet_w44_1280"])
    assert config.models.encoder.model_name == "hrnet_w44"
    assert (config.data.resize.side, config.data.crop_size, config.data.batch_size) == (
        1280,
        1280,
        2,
    )
    assert (config.models.optimizer.lr, config.models.optimizer.weight_decay) == (4.5e-4, 6e-5)
    assert (config.models.scheduler.T_max, config.models.scheduler.eta_min) == (20, 8e-6)
    assert config.trainer.max_epochs == 20


def test_the_reference_command_line_is_understood() -> None:
    config = load_config(REFERENCE)
    assert config.models.optimizer.lr == 3e-4
    assert config.models.scheduler.eta_min == 1.2e-5


@pytest.mark.parametrize("text", ["3e-4", "3.0e-4", "0.0003", "3E-4"])
def test_numbers_are_read_as_people_write_them(text: str) -> None:
    assert load_config([f"models.optimizer.lr={text}"]).models.optimizer.lr == 3e-4


def test_the_later_override_wins_and_the_preset_comes_first() -> None:
    config = load_config(["trainer.max_epochs=3", "preset=quickstart", "trainer.max_epochs=4"])
    assert (config.preset, config.trainer.max_epochs) == ("quickstart", 4)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["preset=hrnet_w44"], ["preset", "'hrnet_w44'", "hrnet_w44_1280"]),
        (["models.optimiser.lr=1e-3"], ["models.optimiser", "models.optimizer.lr"]),
        (["lr=1e-3"], ["lr", "models.optimizer.lr"]),
        (["trainer.max_epochs=many"], ["trainer.max_epochs", "'many'", "integer"]),
        (["trainer.max_epochs=0"], ["trainer.max_epochs", "0", "greater than or equal to 1"]),
        (["data.crop_size=500"], ["data.crop_size", "500", "multiple of 32"]),
        (["models.optimizer.lr=1e-9"], ["models.scheduler.eta_min", "models.optimizer.lr=1e-09"]),
        (["trainer.max_epochs"], ["'trainer.max_epochs'", "key=value"]),
        (["trainer.max_epochs.deep=1"], ["trainer.max_epochs", "{'deep': 1}"]),
    ],
)
def test_an_error_names_key_value_and_what_is_allowed(words: list[str], named: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(words)
    for part in named:
        assert part in str(error.value)


def test_a_stored_configuration_reads_back_equal() -> None:
    config = load_config(REFERENCE)
    assert config_from_tree(config.to_dict()) == config


def test_the_digest_ignores_where_the_data_lies_and_nothing_else() -> None:
    config = load_config(REFERENCE)
    elsewhere = apply_params(config, {"data.path": "s3://bucket/receipts", "data.num_workers": 7})
    assert elsewhere.digest() == config.digest()
    assert apply_params(config, {"seed": 1}).digest() != config.digest()


@given(st.sampled_from(known_keys()), st.integers(0, 30))
def test_a_known_key_with_a_letter_missing_is_recognised(key: str, place: int) -> None:
    place %= len(key)
    if key.count(".") and key[place] != ".":
        assert nearest_key(key[:place] + key[place + 1 :]) is not None


@pytest.mark.parametrize(
    "text",
    ["set #1", "1e3", "yes", "[x]", "{", "~", "2024-01-31", "2024-13-45", "0x10", "a: b", "*a", "%",
     "!!python/x", "café", "'quoted'", " spaced ", "[bold]", ".nan", "null"],
)  # fmt: skip
def test_what_is_given_as_text_is_never_read_as_yaml(text: str, tmp_path: Path) -> None:
    assert load_config([f"data.path={text}"]).data.path == text


def test_null_stands_for_no_text_where_a_key_may_have_none() -> None:
    assert load_config(["models.init=null"]).models.init is None
    assert load_config(["models.init=~"]).models.init == "~"


@pytest.mark.parametrize("text", ["yes", "1e3", "2024-01-31", "0o17", "1_000", "~", ".inf"])
def test_text_in_a_preset_file_stays_text(text: str, tmp_path: Path) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_text(f"data: {{path: {text}}}\ntrainer: {{precision: 32}}\n", encoding="utf-8")
    config = load_config([f"preset={preset}"])
    assert (config.data.path, config.trainer.precision) == (text, "32")


@pytest.mark.parametrize("text", ["{", "[[[[", "2024-13-45", "!!python/x", "%", "a: b: c"])
def test_a_value_that_is_no_yaml_is_named_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match=r"trainer\.max_epochs"):
        load_config([f"trainer.max_epochs={text}"])


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"a: [", b"- 1", b"text", b"d: 2024-13-45", b"\x00\x01"]
)
def test_a_damaged_preset_file_is_named(content: bytes, tmp_path: Path) -> None:
    preset = tmp_path / "own.yaml"
    preset.write_bytes(content)
    with pytest.raises(ConfigError, match=r"own\.yaml"):
        load_config([f"preset={preset}"])


_NUMBERS = [key for key in all_keys() if key.type.startswith(("number", "whole", "[number"))]


@pytest.mark.parametrize("number", ["nan", ".nan", "inf", ".inf", "-.inf", "1e999", "-1e999"])
@pytest.mark.parametrize("key", _NUMBERS, ids=lambda key: key.name)
def test_no_key_takes_a_number_that_is_not_finite(key: Key, number: str) -> None:
    count = len(key.default) if isinstance(key.default, list) else 0
    value = f"[{', '.join([number] * count)}]" if count else number
    with pytest.raises(ConfigError, match=key.name):
        load_config([f"{key.name}={value}"])

"""`detsweep config`."""

import json

import yaml
from typer.testing import CliRunner

from detector.cli.main import app
from detector.config.keys import all_keys
from detector.config.loading import (
    config_from_tree,
    load_config,
    preset_names,
    preset_summary,
    values_by_key,
)
from detector.errors import ConfigError


def test_show_prints_a_configuration_that_can_be_read_back() -> None:
    words = ["preset=receipts_cpu", "models.optimizer.lr=3e-4"]
    result = CliRunner().invoke(app, ["config", "show", *words])
    assert result.exit_code == 0
    assert config_from_tree(yaml.safe_load(result.output)) == load_config(words)


def keys(*words: str) -> str:
    result = CliRunner().invoke(app, ["config", "keys", *words])
    assert result.exit_code == 0
    return result.output


def test_keys_says_what_each_may_be_its_default_and_what_it_does() -> None:
    assert keys("optimizer.lr") == (
        "models.optimizer.lr=0.00045  (number, above 0)\n"
        "    Learning rate at the beginning, after any warm-up; the highest of the training.\n"
    )
    assert "folds.retrain=null  (whole number, at least 1; or null)" in keys()
    assert "data.augment.scale=[0.7,1.4]  ([number, number], above 0)" in keys()
    assert "trainer.precision=auto  (one of 32, bf16, auto)" in keys()


def test_keys_names_the_nearest_where_none_is_meant() -> None:
    result = CliRunner().invoke(app, ["config", "keys", "learning_rate"])
    assert isinstance(result.exception, ConfigError)
    nearest = CliRunner().invoke(app, ["config", "keys", "optimiser.lr"])
    assert "did you mean 'models.optimizer.lr'?" in str(nearest.exception)


def test_keys_lists_every_value_of_a_configuration() -> None:
    listed = json.loads(keys("--json"))
    shown = yaml.safe_load(CliRunner().invoke(app, ["config", "show"]).output)
    assert {key["name"]: key["default"] for key in listed} == values_by_key(config_from_tree(shown))


def test_every_key_says_what_it_does() -> None:
    assert not [key.name for key in all_keys() if not key.meaning.endswith(".")]


def test_every_default_can_be_typed_as_it_is_shown() -> None:
    words = [f"{key.name}={key.shown_default}" for key in all_keys()]
    assert load_config([word for word in words if word != "preset=null"]) == load_config()


def test_presets_says_what_each_is_for() -> None:
    result = CliRunner().invoke(app, ["config", "presets"])
    assert "hrnet_w44_1280\n    The reference: DBNet on HRNet-W44" in result.output
    listed = [line for line in result.output.splitlines() if not line.startswith(" ")]
    assert listed == preset_names()
    assert all(preset_summary(name).endswith(".") for name in preset_names())

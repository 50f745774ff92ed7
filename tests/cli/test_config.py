"""`detsweep config`."""

import yaml
from typer.testing import CliRunner

from detector.cli.main import app
from detector.config.loading import config_from_tree, known_keys, load_config


def test_show_prints_a_configuration_that_can_be_read_back() -> None:
    words = ["preset=receipts_cpu", "models.optimizer.lr=3e-4"]
    result = CliRunner().invoke(app, ["config", "show", *words])
    assert result.exit_code == 0
    assert config_from_tree(yaml.safe_load(result.output)) == load_config(words)


def test_keys_lists_what_can_be_set() -> None:
    result = CliRunner().invoke(app, ["config", "keys"])
    assert result.output.split() == known_keys()


def test_presets_lists_the_reference() -> None:
    result = CliRunner().invoke(app, ["config", "presets"])
    assert "hrnet_w44_1280" in result.output.split()

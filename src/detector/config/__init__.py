"""The typed configuration and its presets."""

from detector.config.loading import (
    apply_params,
    changes_of_preset,
    config_from_tree,
    known_keys,
    load_config,
    nearest_key,
    preset_names,
    read_config,
    values_by_key,
)
from detector.config.schema import Config

__all__ = [
    "Config",
    "apply_params",
    "changes_of_preset",
    "config_from_tree",
    "known_keys",
    "load_config",
    "nearest_key",
    "preset_names",
    "read_config",
    "values_by_key",
]

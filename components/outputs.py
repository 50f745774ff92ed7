"""What a step hands to Kubeflow Pipelines, in the form that it takes.

Kubeflow's launcher reads a step's outputs as protobuf. For one value that has no place there, null
or NaN among an artifact's properties, it refuses them all, and a step that did its work has failed.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from kfp import dsl

_LARGEST_PROPERTY = 64 * 1024
"""Bytes of JSON. The metadata store takes 4 MiB for an artifact with all its properties."""


def describe(
    artifact: dsl.Artifact, name: str, properties: Mapping[str, object] | None = None
) -> None:
    """Name an artifact, and set those of its properties that have a value.

    Left out is what Kubeflow has no form for: None, a number that is not finite, and a text of more
    than 64 KiB. The run store has it all.
    """
    artifact.metadata["display_name"] = name
    for key, value in (properties or {}).items():
        plain = _plain(value)
        if key and plain is not None and len(json.dumps(plain)) <= _LARGEST_PROPERTY:
            artifact.metadata[key] = plain


def measure(metrics: dsl.Metrics, values: Mapping[str, float | None]) -> None:
    """Set those metrics that have a finite value."""
    for name, value in values.items():
        if name and value is not None and math.isfinite(value):
            metrics.log_metric(name, float(value))


def _plain(value: object) -> Any:
    """`value` as JSON has it, with None for numbers that are not finite; other objects as text.

    >>> _plain({"low": float("nan"), 3: (1, "a")})
    {'low': None, '3': [1, 'a']}
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
    return str(value)

"""What Kubeflow's launcher takes of a step: the rules of its `launcher_v2.go` and `converter.go`.

It reads the file as the message `ExecutorOutput`, which has no place for NaN, and turns each of an
artifact's properties into a value of the metadata store, which has none for null.
"""

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

_LARGEST_MESSAGE = 4 * 1024 * 1024


class RefusedError(Exception):
    """The launcher would fail the step."""


def read_outputs(text: str) -> Any:
    """The outputs of a step, if the launcher takes them.

    Raises:
        RefusedError: it does not.
    """
    try:
        json.loads(text, parse_constant=_refuse)
        output = json_format.Parse(text, pipeline_spec_pb2.ExecutorOutput())
    except (json_format.ParseError, ValueError) as error:
        raise RefusedError(str(error)) from error
    for name, artifacts in output.artifacts.items():
        for artifact in artifacts.artifacts:
            for key, value in artifact.metadata.fields.items():
                if not key or value.WhichOneof("kind") in (None, "null_value"):
                    raise RefusedError(f"{name}: property {key!r} is null")
            if artifact.ByteSize() > _LARGEST_MESSAGE:
                raise RefusedError(f"{name}: {artifact.ByteSize()} bytes of properties")
    return output


def read_output_file(path: Path) -> Any:
    """The outputs in a step's file."""
    return read_outputs(path.read_text(encoding="utf-8"))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")

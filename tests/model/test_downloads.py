"""Weights of timm that cannot be downloaded end in one line that says what to do instead."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """\
from detector.config.schema import EncoderConfig
from detector.console import plain_errors
from detector.model.encoder import Encoder

with plain_errors():
    Encoder(EncoderConfig(model_name="resnet18", pretrained=True))
"""


def test_without_a_network_the_remedy_is_said(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    assert ended.returncode == 2
    assert "timm's weights of resnet18 cannot be had" in ended.stderr
    assert "set models.encoder.pretrained=false" in ended.stderr
    assert "Traceback" not in ended.stderr

"""A model that finds what is dark."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from detector.config.loading import load_config
from detector.export.card import Card
from detector.export.model import Model
from detector.export.onnx import export_onnx


class DarkIsText(nn.Module):
    """A network whose right answers are known without any training."""

    def forward(self, image_B3HW: Tensor) -> Tensor:
        return torch.sigmoid(-20 * (image_B3HW.mean(dim=1) + 0.5))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_config(["preset=quickstart", "models.head.postprocess.unclip_ratio=0"])
    card = Card(
        name="dark is text",
        detsweep="0",
        opset=20,
        resize={"rule": "longest_side", "side": 256, "max_side": 256},
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        postprocess=config.models.head.postprocess.model_dump(),
        config=config.to_dict(),
        data_digest="",
        scores={},
        parity=0.0,
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    export_onnx(DarkIsText(), path)
    Model.write(path, card)
    return path

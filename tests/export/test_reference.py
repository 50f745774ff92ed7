"""The reference network, HRNet-W44, as ONNX."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector.config.loading import load_config
from detector.export.engines import open_engine
from detector.export.onnx import export_onnx
from detector.model.dbnet import DBNet


class Logits(nn.Module):
    """The map before its sigmoid, which would hide a difference where it saturates."""

    def __init__(self, network: DBNet):
        super().__init__()
        self.network = network

    def forward(self, image_B3HW: Tensor) -> Tensor:
        logits: Tensor = self.network(image_B3HW).probability_logits
        return logits


@pytest.mark.slow
def test_the_reference_network_exports_for_any_batch_and_size(tmp_path: Path) -> None:
    config = load_config(["preset=hrnet_w44_1280", "models.encoder.pretrained=false"])
    torch.manual_seed(0)
    network = DBNet(config.models)
    with torch.no_grad():
        network(torch.randn(2, 3, 128, 128))  # batch norm takes its statistics from this
    logits = Logits(network).eval()
    export_onnx(logits, tmp_path / "model.onnx")
    run = open_engine(tmp_path / "model.onnx")
    for shape in ((1, 3, 96, 160), (2, 3, 128, 64)):
        images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        with torch.inference_mode():
            expected = logits(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(run(images), expected, atol=1e-3 * np.abs(expected).max())

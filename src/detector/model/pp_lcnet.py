"""PP-LCNetV3, the backbone of PP-OCR's mobile detectors (Cui et al. 2021, arXiv 2109.15099; its
third version came with PP-OCRv4).

As it is published for inference: the branches that it was trained with are one convolution each,
and batch normalisation is part of them. There is nothing in it that depends on the batch.
"""

from typing import NamedTuple

from torch import Tensor, nn

from detector.model.layers import ChannelAttention, ScalarAffine, initialise


class _Block(NamedTuple):
    """A depthwise convolution and the pointwise one after it."""

    kernel: int
    inputs: int
    outputs: int
    stride: int = 1
    attends: bool = False


_STAGES = (
    (_Block(3, 16, 32), _Block(3, 32, 48, 2), _Block(3, 48, 48)),
    (_Block(3, 48, 96, 2), _Block(3, 96, 96)),
    (_Block(3, 96, 192, 2), *(_Block(5, 192, 192),) * 4),
    (_Block(5, 192, 384, 2, True), _Block(5, 384, 384, 1, True), *(_Block(5, 384, 384),) * 2),
)
"""At three quarters of the published width, as PP-OCR's detectors have it. The first stage ends at
stride 4."""
_CHANNELS = (12, 18, 42, 360)
_ATTENTION_SLOPE = 1 / 6


class PPLCNetV3(nn.Module):
    """Features of an image at strides 4, 8, 16 and 32.

    Attributes:
        channels: of the four feature maps, finest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels = list(_CHANNELS)
        self.stem = nn.Conv2d(3, _STAGES[0][0].inputs, 3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(*(DepthwiseSeparable(*block) for block in blocks)) for blocks in _STAGES
        )
        self.outputs = nn.ModuleList(
            nn.Conv2d(blocks[-1].outputs, channels, 1)
            for blocks, channels in zip(_STAGES, _CHANNELS, strict=True)
        )
        initialise(self)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Feature maps at strides 4 to 32, finest first."""
        features, x = [], self.stem(image_B3HW)
        for stage, output in zip(self.stages, self.outputs, strict=True):
            x = stage(x)
            features.append(output(x))
        return features


class DepthwiseSeparable(nn.Sequential):
    """A depthwise convolution, attention where the block has it, and a pointwise convolution."""

    def __init__(self, kernel: int, inputs: int, outputs: int, stride: int, attends: bool):
        parts: list[nn.Module] = [
            nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs)
        ]
        if stride == 1:
            parts += [nn.Hardswish(), ScalarAffine()]
        if attends:
            parts.append(ChannelAttention(inputs, slope=_ATTENTION_SLOPE))
        parts += [nn.Conv2d(inputs, outputs, 1), nn.Hardswish(), ScalarAffine()]
        super().__init__(*parts)

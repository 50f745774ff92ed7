"""What both necks are: a feature pyramid, from the coarsest scale to stride 4 (Lin et al. 2017,
arXiv 1612.03144)."""

from torch import Tensor, nn

from detector.model.encoder import STRIDES


class Pyramid(nn.Module):
    """Brings feature maps at `STRIDES` to stride 4, each with what the coarser ones say.

    Args:
        laterals: one for each scale, finest first, to the same number of channels.
        outputs: one for each scale, from those to an equal part of the neck's channels.
    """

    def __init__(self, laterals: nn.ModuleList, outputs: nn.ModuleList):
        super().__init__()
        self.laterals, self.outputs = laterals, outputs
        self.twice = nn.Upsample(scale_factor=2, mode="nearest")
        self.to_stride_4 = nn.ModuleList(
            nn.Upsample(scale_factor=stride // STRIDES[0], mode="nearest") for stride in STRIDES
        )

    def maps(self, features: list[Tensor]) -> list[Tensor]:
        """One (B, part, H/4, W/4) map of each scale, finest first."""
        pyramid = [lateral(f) for lateral, f in zip(self.laterals, features, strict=True)]
        for level in range(len(pyramid) - 2, -1, -1):
            pyramid[level] = pyramid[level] + self.twice(pyramid[level + 1])
        return [
            upsample(output(level))
            for upsample, output, level in zip(self.to_stride_4, self.outputs, pyramid, strict=True)
        ]

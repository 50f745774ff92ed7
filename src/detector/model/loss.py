"""The loss of DBNet (Liao et al. 2020, section 3.5): L = a·Ls + b·Lb + c·Lt.

Ls is a balanced binary cross entropy on the probability map, Lb a dice loss on the approximate
binary map, Lt the L1 distance of the threshold map inside its mask.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from detector.config.schema import LossConfig
from detector.model.dbnet import Maps
from detector.model.head import approximate_binary_map

_EPSILON = 1e-6


@dataclass(frozen=True)
class TargetMaps:
    """What the network should say; each (B, H, W) float32, masks 0 or 1."""

    shrink_map: Tensor
    shrink_mask: Tensor
    thresh_map: Tensor
    thresh_mask: Tensor


def detection_loss(maps: Maps, targets: TargetMaps, config: LossConfig, k: float) -> Tensor:
    """The weighted sum of the three losses, a scalar."""
    logits = maps.probability_logits.float()
    threshold = torch.sigmoid(maps.threshold_logits.float())
    binary = approximate_binary_map(torch.sigmoid(logits), threshold, k)
    probability_loss = balanced_bce(
        logits, targets.shrink_map, targets.shrink_mask, config.negative_ratio
    )
    return (
        config.prob_map_loss_weight * probability_loss
        + config.binary_map_loss_weight * dice_loss(binary, targets.shrink_map, targets.shrink_mask)
        + config.thresh_map_loss_weight
        * masked_l1(threshold, targets.thresh_map, targets.thresh_mask)
    )


def balanced_bce(logits: Tensor, target: Tensor, mask: Tensor, negative_ratio: float) -> Tensor:
    """Cross entropy over all positive pixels and the hardest negatives, `negative_ratio` for one.

    Without any positive pixel the hardest `negative_ratio` per cent of the negatives stand in, so
    that an empty crop still teaches what is not text.
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * mask
    positive = target * mask
    negative = (1 - target) * mask
    positives = int(positive.sum())
    negatives = int(negative.sum())
    wanted = negative_ratio * positives if positives else negatives * negative_ratio / 100
    kept = min(int(wanted), negatives)
    hardest = _sum_of_largest((loss * negative).flatten(), kept)
    return ((loss * positive).sum() + hardest) / (positives + kept + _EPSILON)


def _sum_of_largest(values: Tensor, count: int) -> Tensor:
    """The sum of the `count` largest values; their order is not needed, so they are not sorted."""
    if count == 0:
        return values.sum() * 0
    return torch.topk(values, count, sorted=False).values.sum()


def dice_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """1 - 2|P∩T| / (|P|+|T|) over the pixels of the mask (Milletari et al. 2016)."""
    overlap = (prediction * target * mask).sum()
    total = (prediction * mask).sum() + (target * mask).sum()
    return 1 - 2 * overlap / (total + _EPSILON)


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the pixels of the mask; 0 where the mask is empty."""
    return ((prediction - target).abs() * mask).sum() / (mask.sum() + _EPSILON)

"""Batch normalisation by the statistics of a micro-batch that several processes share.

On GPUs torch's SyncBatchNorm does it, put in place by timm's conversion, which keeps the activation
that timm's layers carry. On CPUs that raises ValueError, "SyncBatchNorm expected input tensor to be
on GPU" (torch 2.14, two processes over gloo), and torch has none for them: the class here is for
trainings that several processes share without a GPU.
"""

from typing import Any

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn


def share_batch_norm(network: nn.Module, device: torch.device) -> None:
    """Replace every batch norm inside `network` by one whose statistics all processes share.

    Parameters and buffers stay the same tensors under the same names.

    Args:
        device: where the network will run.
    """
    if device.type != "cpu":
        convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]  # timm has no types
        return
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm2d(child))


class SharedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm with the parameters of another and under the same names, which in training
    normalises by the mean and variance over the crops of all processes. Each has as many.

    Args:
        norm: whose place it takes; an activation that is part of it (timm's BatchNormAct2d) stays.
    """

    def __init__(self, norm: nn.BatchNorm2d):
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        # Its own parameters and buffers are those of `norm`, wherever they lie.
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) normalised, scaled and shifted, then the activation."""
        if self.training:
            normalised = _SharedNorm.apply(features, self.weight, self.bias, self)
        else:
            normalised = super().forward(features)
        activated: Tensor = self.act(self.drop(normalised))
        return activated

    def track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as nn.BatchNorm2d does."""
        momentum = self.momentum or 0.0
        assert self.running_mean is not None, "it was made with them"
        assert self.running_var is not None, "it was made with them"
        assert self.num_batches_tracked is not None, "it was made with them"
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), momentum)


class _SharedNorm(torch.autograd.Function):
    """Ioffe and Szegedy 2015, arXiv 1502.03167; each process has the same number of values, so
    that means over processes are means over values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: SharedBatchNorm2d) -> Any:
        own = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
        variances, means = _of_all_processes(torch.stack(own))
        mean = means.mean(dim=0)
        variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
        norm.track(mean, variance, len(means) * x.numel() // len(mean))
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + norm.eps))
        return nn.functional.batch_norm(x, mean, variance, weight, bias, eps=norm.eps)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, mean, inverse_std = ctx.saved_tensors
        centred = (x.float() - _wide(mean)) * _wide(inverse_std)
        wide_grad = grad.float()
        grad_bias = wide_grad.sum(dim=(0, 2, 3))
        grad_weight = (wide_grad * centred).sum(dim=(0, 2, 3))
        values = x.numel() // len(mean)
        shared = torch.stack([grad_bias, grad_weight]) / values
        torch.distributed.all_reduce(shared)
        shared /= torch.distributed.get_world_size()
        grad_x = wide_grad - _wide(shared[0]) - centred * _wide(shared[1])
        grad_x *= _wide(weight * inverse_std)
        return grad_x.to(x.dtype), grad_weight, grad_bias, None


def _of_all_processes(rows: Tensor) -> Tensor:
    """(R, processes, C): each row as each process has it."""
    every = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(every, rows)
    return torch.stack(every, dim=1)


def _wide(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)

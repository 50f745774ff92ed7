"""The block that neck and head are made of, and how both are initialised."""

from torch import nn


def conv_norm_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def initialise(module: nn.Module) -> None:
    """Keep the signal's variance through every convolution (He et al. 2015, arXiv 1502.01852).

    torch's own default shrinks it by three at each layer, which the short schedules of a sweep
    would have to make up for.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

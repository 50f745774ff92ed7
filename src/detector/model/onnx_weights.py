"""The weights of an ONNX graph, layer by layer, as plain modules take them.

Exporters write the same network in many ways: with weights as initializers or as constants, with
batch normalisation, with a bias of its own or added, or with all of it folded. Here a convolution
and the fixed scales and shifts behind it are one layer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from detector.model.layers import ScalarAffine

_CONVOLUTIONS = {"Conv": 0, "ConvTranspose": 1}
"""Which axis of a weight are the outputs, by the operator's name."""
_ENDS_OF_ACTIVATIONS = {"Div", "HardSwish"}
"""What a hard swish ends with, spelt out or as one operator."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """What one layer multiplies by and adds.

    Attributes:
        weight: of a convolution as torch lays it out; of an activation one number.
        bias: one for each output.
    """

    weight: Values
    bias: Values


def read_layers(graph: onnx.GraphProto) -> Iterator[Layer]:
    """The convolutions of a graph and the scaled activations, in the graph's order.

    Scales and shifts directly behind a convolution become part of it, in double precision.
    """
    reader = _Reader(graph)
    for node in graph.node:
        if node.op_type in _CONVOLUTIONS:
            yield reader.convolution(node)
        elif node.op_type in _ENDS_OF_ACTIVATIONS:
            scale, shift = reader.affine_behind(node.output[0])
            if scale is not None or shift is not None:
                yield Layer(*(np.float64(v).reshape(1) for v in _both(scale, shift)))


def assign(layers: Sequence[Layer], modules: Iterable[nn.Module]) -> None:
    """Give modules the weights of layers, in order.

    Raises:
        ValueError: there are more of one than of the other, or they differ in shape.
    """
    modules = list(modules)
    if len(layers) != len(modules):
        raise ValueError(f"it has {len(layers)} layers in place of {len(modules)}")
    for number, (layer, module) in enumerate(zip(layers, modules, strict=True)):
        weight, bias = _parameters(module)
        _copy(layer.weight, weight, number)
        if bias is not None:
            _copy(layer.bias, bias, number)
        elif layer.bias.any():
            raise ValueError(f"its layer {number} has a bias, which is not expected there")


def _parameters(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None]:
    if isinstance(module, ScalarAffine):
        return module.scale, module.bias
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    return module.weight, module.bias


def _copy(values: Values, into: torch.Tensor, number: int) -> None:
    if values.shape != tuple(into.shape):
        raise ValueError(
            f"its layer {number} has the shape {values.shape} in place of {tuple(into.shape)}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"its layer {number} holds numbers that are not finite")
    with torch.no_grad():
        into.copy_(torch.from_numpy(values))


class _Reader:
    """Values and consumers of a graph's tensors."""

    def __init__(self, graph: onnx.GraphProto):
        self._values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                values = onnx.numpy_helper.to_array(node.attribute[0].t)
                self._values[node.output[0]] = values
        self._aliases = {
            node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"
        }
        self._nodes = [n for n in graph.node if n.op_type not in {"Identity", "Constant"}]
        consumed = [(self._name(i), node) for node in self._nodes for i in node.input]
        self._uses = Counter(name for name, _ in consumed)
        self._consumer = dict(consumed)

    def convolution(self, node: onnx.NodeProto) -> Layer:
        """A convolution with what is fixed behind it."""
        weight = self._known(node.input[1])
        axis = _CONVOLUTIONS[node.op_type]
        bias = self._known(node.input[2]) if len(node.input) > 2 else None
        scale, shift = _both(*self.affine_behind(node.output[0]))
        by_output = [1] * weight.ndim
        by_output[axis] = -1
        outputs = weight.shape[axis]
        full = np.zeros(outputs) if bias is None else bias
        return Layer(
            weight * np.broadcast_to(scale, outputs).reshape(by_output),
            full * scale + np.broadcast_to(shift, outputs),
        )

    def affine_behind(self, output: str) -> tuple[Values | None, Values | None]:
        """Scale and shift that alone take a tensor; None for what is not there."""
        scale = shift = None
        output = self._name(output)
        while self._uses[output] == 1:
            node = self._consumer[output]
            step = self._affine(node, output)
            if step is None:
                break
            times, plus = step
            if times is not None:
                scale = times if scale is None else scale * times
                shift = None if shift is None else shift * times
            if plus is not None:
                shift = plus if shift is None else shift + plus
            output = self._name(node.output[0])
        return scale, shift

    def _affine(self, node: onnx.NodeProto, of: str) -> tuple[Values | None, Values | None] | None:
        if node.op_type == "BatchNormalization":
            return self._normalisation(node)
        if node.op_type not in {"Mul", "Add"}:
            return None
        other = next((i for i in node.input if self._name(i) != of), None)
        fixed = None if other is None else self._fixed(other)
        if fixed is None:
            return None
        return (fixed.ravel(), None) if node.op_type == "Mul" else (None, fixed.ravel())

    def _normalisation(self, node: onnx.NodeProto) -> tuple[Values, Values]:
        gamma, beta, mean, variance = map(self._known, node.input[1:])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        scale = gamma / np.sqrt(variance + epsilon)
        return scale, beta - mean * scale

    def _known(self, name: str) -> Values:
        values = self._fixed(name)
        if values is None:
            raise ValueError(f"its tensor {name!r} is computed, and not a weight")
        return values

    def _fixed(self, name: str) -> Values | None:
        values = self._values.get(self._name(name))
        return None if values is None else values.astype(np.float64)

    def _name(self, name: str) -> str:
        while name in self._aliases:
            name = self._aliases[name]
        return name


def _both(scale: Values | None, shift: Values | None) -> tuple[Values, Values]:
    return (np.ones(1) if scale is None else scale), (np.zeros(1) if shift is None else shift)

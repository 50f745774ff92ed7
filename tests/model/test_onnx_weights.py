"""Weights are read from any form in which exporters write them, and compute what the graph does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime import InferenceSession
from torch import nn

from detector.model.layers import ScalarAffine
from detector.model.onnx_weights import assign, read_layers

Array = NDArray[np.float32]
AFFINE = st.lists(st.sampled_from(["Mul", "Add", "BatchNormalization", "Identity"]), max_size=5)


class _Graph:
    """An ONNX graph that grows by one operator after another."""

    def __init__(self, rng: np.random.Generator, *, constants: bool):
        self._rng, self._constants = rng, constants
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self.output = "x"

    def weight(self, *shape: int, positive: bool = False) -> str:
        values = self._rng.normal(size=shape).astype(np.float32)
        if positive:
            values = np.asarray(np.abs(values) + 0.5, np.float32)
        name = f"w{len(self._nodes)}-{len(self._initializers)}-{shape}-{positive}"
        tensor = onnx.numpy_helper.from_array(values, name)
        if self._constants:
            self._nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self._initializers.append(tensor)
        return name

    def add(self, operator: str, inputs: Sequence[str] = (), **attributes: Any) -> "_Graph":
        output = f"y{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(operator, [self.output, *inputs], [output], **attributes)
        )
        self.output = output
        return self

    def affine(self, operator: str, channels: int) -> "_Graph":
        if operator == "Identity":
            return self.add(operator)
        if operator == "BatchNormalization":
            scale, shift, mean = (self.weight(channels) for _ in range(3))
            return self.add(operator, [scale, shift, mean, self.weight(channels, positive=True)])
        return self.add(operator, [self.weight(1, channels, 1, 1)])

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "graph",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
            [helper.make_tensor_value_info(self.output, TensorProto.FLOAT, None)],
            self._initializers,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
        made.ir_version = 8
        return made


def _run(model: onnx.ModelProto, image: Array) -> Array:
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"x": image})
    return np.asarray(output)


def _image(rng: np.random.Generator) -> Array:
    return rng.normal(size=(1, 3, 6, 9)).astype(np.float32)


@given(affine=AFFINE, biased=st.booleans(), constants=st.booleans(), transposed=st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_convolution_takes_up_the_fixed_scales_and_shifts_behind_it(
    affine: list[str], biased: bool, constants: bool, transposed: bool
) -> None:
    rng = np.random.default_rng(len(affine))
    graph = _Graph(rng, constants=constants)
    shape = (3, 5, 2, 2) if transposed else (5, 3, 3, 3)
    weights = [graph.weight(*shape), *([graph.weight(5)] if biased else [])]
    graph.add("ConvTranspose" if transposed else "Conv", weights)
    for operator in affine:
        graph.affine(operator, 5)
    graph.add("Relu")
    convolution = nn.ConvTranspose2d(3, 5, 2) if transposed else nn.Conv2d(3, 5, 3)
    model = graph.model()
    assign(list(read_layers(model.graph)), [convolution])
    image = _image(rng)
    with torch.inference_mode():
        ours = torch.relu(convolution(torch.from_numpy(image))).numpy()
    np.testing.assert_allclose(ours, _run(model, image), rtol=1e-4, atol=1e-4)


def test_a_shift_that_two_operators_read_stays_where_it_is() -> None:
    """It belongs to one of them and not to the other."""
    rng = np.random.default_rng(0)
    graph = _Graph(rng, constants=False).add("Conv", [])
    node = graph._nodes[-1]
    node.input.append(graph.weight(5, 3, 3, 3))
    shared = graph.output
    graph.affine("Mul", 5)
    graph.add("Add", [shared])
    (layer,) = read_layers(graph.model().graph)
    weight = onnx.numpy_helper.to_array(graph._initializers[0])
    np.testing.assert_array_equal(layer.weight, weight)
    assert not layer.bias.any()


@pytest.mark.parametrize("spelt_out", [True, False])
def test_an_activation_with_a_scale_is_a_layer_of_its_own(spelt_out: bool) -> None:
    rng = np.random.default_rng(1)
    graph = _Graph(rng, constants=True)
    graph.add("Conv", [graph.weight(5, 3, 3, 3)])
    before = graph.output
    if spelt_out:
        three, six, nought = (f"{n}" for n in ("three", "six", "nought"))
        for name, value in ((three, 3.0), (six, 6.0), (nought, 0.0)):
            tensor = onnx.numpy_helper.from_array(np.array(value, np.float32), name)
            graph._initializers.append(tensor)
        graph.add("Add", [three]).add("Clip", [nought, six]).add("Mul", [before]).add("Div", [six])
    else:
        graph.add("HardSwish")
    graph.add("Mul", [graph.weight(1)]).add("Add", [graph.weight(1)])
    graph.add("Relu")
    model = graph.model()
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Hardswish(), ScalarAffine(), nn.ReLU())
    assign(list(read_layers(model.graph)), [network[0], network[2]])
    image = _image(rng)
    with torch.inference_mode():
        ours = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(ours, _run(model, image), rtol=1e-4, atol=1e-4)


def test_layers_of_another_network_are_refused() -> None:
    rng = np.random.default_rng(2)
    graph = _Graph(rng, constants=False)
    graph.add("Conv", [graph.weight(5, 3, 3, 3), graph.weight(5)])
    layers = list(read_layers(graph.model().graph))
    with pytest.raises(ValueError, match="1 layers in place of 2"):
        assign(layers, [nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3)])
    with pytest.raises(ValueError, match=r"layer 0 has the shape \(5, 3, 3, 3\)"):
        assign(layers, [nn.Conv2d(3, 6, 3)])
    with pytest.raises(ValueError, match="layer 0 has a bias"):
        assign(layers, [nn.Conv2d(3, 5, 3, bias=False)])


def test_weights_that_are_computed_are_refused() -> None:
    rng = np.random.default_rng(3)
    graph = _Graph(rng, constants=False).add("Conv", ["x"])
    with pytest.raises(ValueError, match="'x' is computed"):
        list(read_layers(graph.model().graph))

"""s8s8 rounds where TensorRT fuses, and nowhere in between."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.export.decisions import Activation, QuantizedNode
from edgekit.export.fusing import fused_activations


def graph(nodes, *, weights=()):
    """A model of given nodes, written as (op, inputs, output), with a weight for each name."""
    tensors = [numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), name) for name in weights]
    made = [helper.make_node(op, inputs.split(), [output]) for op, inputs, output in nodes]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    out = helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, [1, 4, 8, 8])
    return helper.make_model(helper.make_graph(made, "g", [image], [out], tensors))


def kept(nodes, weighted, rounded):
    """Names of the tensors that stay rounded."""
    weights = [inputs.split()[1] for op, inputs, _ in nodes if op == "Conv"]
    entries = [QuantizedNode(name, "Conv", f"w{name}", 0, (1.0,) * 4, None) for name in weighted]
    activations = [Activation(name, -1.0, 1.0) for name in rounded.split()]
    found = fused_activations(graph(nodes, weights=weights), activations, entries)
    return [entry.tensor for entry in found]


def test_nothing_is_rounded_between_a_convolution_its_activation_and_the_residual_addition():
    nodes = [
        ("Conv", "x w1", "a"), ("Relu", "a", "b"), ("Conv", "b w2", "c"),
        ("Add", "x c", "d"), ("Relu", "d", "e"), ("Conv", "e w3", "f"),
    ]  # fmt: skip
    assert kept(nodes, ["a", "c", "f"], "x a b c d e") == ["x", "b", "e"]


@pytest.mark.parametrize("inputs", ["short c", "c short"])
def test_of_two_convolutions_the_later_takes_the_earlier_in(inputs):
    nodes = [
        ("Conv", "x w0", "short"), ("Conv", "x w1", "a"), ("Conv", "a w2", "c"),
        ("Add", inputs, "d"), ("Conv", "d w3", "e"),
    ]  # fmt: skip
    assert kept(nodes, ["short", "a", "c", "e"], "x short a c d") == ["x", "short", "a", "d"]


def test_silu_is_rounded_behind_its_product_only():
    nodes = [
        ("Conv", "x w1", "a"), ("Sigmoid", "a", "b"), ("Mul", "a b", "c"), ("Conv", "c w2", "d"),
    ]  # fmt: skip
    assert kept(nodes, ["a", "d"], "x a b c") == ["x", "c"]


def test_a_concatenation_has_one_scale():
    nodes = [
        ("Conv", "x w1", "a"), ("Conv", "x w2", "b"), ("Concat", "a b", "c"),
        ("Conv", "c w3", "d"),
    ]  # fmt: skip
    assert kept(nodes, ["a", "b", "d"], "x a b c") == ["x", "c"]


def test_what_a_concatenation_and_a_convolution_read_is_rounded_for_the_convolution():
    nodes = [
        ("Conv", "x w1", "a"), ("Conv", "a w2", "b"), ("Concat", "a b", "c"),
        ("Conv", "c w3", "d"),
    ]  # fmt: skip
    assert kept(nodes, ["a", "b", "d"], "x a b c") == ["x", "a", "c"]


def test_pooling_between_rounded_tensors_is_int8():
    nodes = [("Conv", "x w1", "a"), ("MaxPool", "a", "b"), ("Conv", "b w2", "c")]
    assert kept(nodes, ["a", "c"], "x a b") == ["x", "a", "b"]
    assert kept(nodes, ["a"], "x a") == ["x"]


def test_a_sum_that_no_convolution_makes_is_not_rounded():
    nodes = [("Sigmoid", "x", "a"), ("Add", "x a", "b"), ("Conv", "b w1", "c")]
    assert kept(nodes, ["c"], "x a b") == ["b"]

"""Two graphs side by side."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.documents import Change
from edgekit.export.diff import changes, flattened, graph_diff

helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def network(operators=("Relu", "Sigmoid"), weight=1.0, prefix="", batch=2):
    """A matrix product and a row of element-wise operators."""
    tensors = {f"{prefix}w": np.full((3, 4), weight, np.float32)}
    nodes = [helper.make_node("MatMul", ["x", f"{prefix}w"], [f"{prefix}t"], name=f"{prefix}fc")]
    last = f"{prefix}t"
    for index, operator in enumerate(operators):
        name = f"{prefix}{operator}{index}"
        output = "y" if index == len(operators) - 1 else f"{name}_out"
        nodes.append(helper.make_node(operator, [last], [output], name=name))
        last = output
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, [batch, 3])],
        [helper.make_tensor_value_info(last, FLOAT, [batch, 4])],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def compared(tmp_path):
    def compare(before, after):
        paths = tmp_path / "before.onnx", tmp_path / "after.onnx"
        for path, model in zip(paths, (before, after), strict=True):
            path.write_bytes(model.SerializeToString())
        return graph_diff(*paths)

    return compare


def test_a_graph_does_not_differ_from_itself(compared):
    diff = compared(network(), network())
    assert diff.equal
    assert not any(
        getattr(diff, name) for name in diff.__struct_fields__
        if name not in ("role", "before", "after", "equal")
    )  # fmt: skip


def test_a_node_put_in_between_is_added_and_its_reader_has_changed(compared):
    diff = compared(network(("Relu", "Sigmoid")), network(("Relu", "Tanh", "Sigmoid")))
    # Names carry the place, so the Sigmoid is found by what it is made of: it is another one now.
    assert diff.nodes_added == ("Tanh1 (Tanh)", "Sigmoid2 (Sigmoid)")
    assert diff.nodes_removed == ("Sigmoid1 (Sigmoid)",)
    assert diff.operators == {"Tanh": Change(before=None, after=1)}
    assert diff.facts["nodes"] == Change(before=3, after=4)


def test_a_node_of_the_same_name_that_reads_another_tensor_has_changed(compared):
    after = network()
    after.graph.node[2].input[0] = "t"
    diff = compared(network(), after)
    (node,) = diff.nodes_changed
    assert (node.name, node.op, node.changed) == ("Sigmoid1", "Sigmoid", ("inputs",))
    after.graph.node[2].op_type = "Tanh"
    (node,) = compared(network(), after).nodes_changed
    assert (node.op, node.changed) == ("Sigmoid > Tanh", ("operator", "inputs"))


def test_an_attribute_that_differs_is_named(compared):
    def leaky(alpha):
        model = network(("LeakyRelu",))
        model.graph.node[1].attribute.append(helper.make_attribute("alpha", alpha))
        return model

    assert compared(leaky(0.1), leaky(0.1)).equal
    (node,) = compared(leaky(0.1), leaky(0.2)).nodes_changed
    assert (node.name, node.changed) == ("LeakyRelu0", ("attributes",))


def test_a_renamed_graph_is_found_by_its_structure(compared):
    diff = compared(network(), network(prefix="new."))
    assert (diff.nodes_added, diff.nodes_removed, diff.nodes_changed) == ((), (), ())
    assert (diff.weights_added, diff.weights_removed) == ((), ())
    assert (diff.nodes_renamed, diff.weights_renamed) == (3, 1)
    assert not diff.equal


def test_weights_that_differ_are_named_with_how_far_apart_they_are(compared):
    after = network()
    values = np.full((3, 4), 1, np.float32)
    values[0, :2] = 1.5, -1
    after.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, "w"))
    (weight,) = compared(network(), after).weights_changed
    assert (weight.name, weight.max_abs, weight.elements) == ("w", 2.0, 2)
    assert weight.before == weight.after == "float [3, 4]"


def test_a_weight_of_another_dtype_has_no_distance(compared):
    after = network()
    after.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.ones((3, 4), np.float16), "w")
    )
    (weight,) = compared(network(), after).weights_changed
    assert (weight.before, weight.after) == ("float [3, 4]", "float16 [3, 4]")
    assert weight.max_abs is None


def test_weights_that_are_not_finite_are_compared_too(compared):
    (weight,) = compared(network(), network(weight=np.nan)).weights_changed
    assert (weight.elements, weight.max_abs) == (12, None)
    assert compared(network(weight=np.nan), network(weight=np.nan)).weights_changed == ()


def test_opset_shapes_axes_and_metadata_are_facts(compared):
    after = network(batch="n")
    after.opset_import[0].version = 18
    helper.set_model_props(after, {"edgekit.card": '{"task":"raw"}', "author": "me"})
    diff = compared(network(), after)
    assert diff.facts["opset"] == Change(before=17, after=18)
    assert diff.inputs["x"].after == ("float32", ("n", 3))
    axis = {"min": 1, "typical": None, "max": None, "counted": 1, "stated": True}
    assert diff.axes["n"] == Change(before=None, after=axis)
    assert diff.metadata == {
        "edgekit.card.task": Change(before=None, after="raw"),
        "author": Change(before=None, after="me"),
    }


OPERATORS = st.lists(st.sampled_from(["Relu", "Sigmoid", "Tanh"]), min_size=1, max_size=5)
MODELS = st.builds(
    network,
    operators=OPERATORS,
    weight=st.sampled_from([1.0, 2.0]),
    prefix=st.sampled_from(["", "other."]),
    batch=st.sampled_from([1, 2, "n"]),
)


@settings(max_examples=40, deadline=None)
@given(before=MODELS, after=MODELS)
def test_the_other_way_round_it_is_the_same_diff(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("diff")
    paths = folder / "a.onnx", folder / "b.onnx"
    for path, model in zip(paths, (before, after), strict=True):
        path.write_bytes(model.SerializeToString())
    there, back = graph_diff(*paths), graph_diff(*reversed(paths))
    assert there.equal == back.equal == (before == after)
    for kind in ("nodes", "weights"):
        assert set(getattr(there, f"{kind}_added")) == set(getattr(back, f"{kind}_removed"))
        assert set(getattr(there, f"{kind}_removed")) == set(getattr(back, f"{kind}_added"))
        assert getattr(there, f"{kind}_renamed") == getattr(back, f"{kind}_renamed")
        assert len(getattr(there, f"{kind}_changed")) == len(getattr(back, f"{kind}_changed"))
    for name in ("facts", "inputs", "outputs", "axes", "metadata", "operators"):
        turned = {
            key: Change(before=change.after, after=change.before)
            for key, change in getattr(back, name).items()
        }
        assert getattr(there, name) == turned


def test_changes_and_flat_keys():
    assert changes({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {
        "a": Change(before=1, after=None),
        "c": Change(before=None, after=3),
    }
    assert flattened({"a": {"b": 1, "c": [1]}, "d": None}) == {"a.b": 1, "a.c": [1], "d": None}

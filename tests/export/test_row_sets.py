"""Outputs whose rows a selection chose are found in the graph."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.export.metadata import graph_card, with_card
from edgekit.export.row_sets import chosen_rows

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def model(nodes, outputs, **constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 50])],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph)


def top_k(*, more=(), outputs=()):
    nodes = [helper.make_node("TopK", ["x", "k"], ["scores", "places"], axis=1), *more]
    known = [("scores", FLOAT, ["batch", 20]), ("places", INT, ["batch", 20])]
    return model(nodes, [*known, *outputs], k=[20])


def test_what_a_top_k_leads_to_is_a_set_of_rows():
    more = [
        helper.make_node("Cast", ["places"], ["labels"], to=FLOAT),
        helper.make_node("Neg", ["x"], ["untouched"]),
        helper.make_node("ReduceMax", ["scores"], ["best"], keepdims=1),
    ]
    outputs = [
        ("labels", FLOAT, ["batch", 20]),
        ("untouched", FLOAT, ["batch", 50]),
        # Led to by the selection, and without its rows.
        ("best", FLOAT, ["batch", 1]),
    ]
    assert chosen_rows(top_k(more=more, outputs=outputs)) == ("scores", "places", "labels")


def test_suppression_gives_as_many_rows_as_there_happen_to_be():
    nodes = [helper.make_node("EfficientNMS_TRT", ["x"], ["boxes"], domain="TRT")]
    assert chosen_rows(model(nodes, [("boxes", FLOAT, ["found", 4])])) == ("boxes",)
    assert chosen_rows(model(nodes, [("boxes", FLOAT, ["batch", 4])])) == ()


def test_a_selection_in_a_body_counts():
    body = helper.make_graph(
        [helper.make_node("TopK", ["x", "k"], ["values", "at"], axis=1)],
        "body",
        [],
        [helper.make_tensor_value_info("values", FLOAT, ["batch", 20])],
    )
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    found = model(nodes, [("y", FLOAT, ["batch", "found"])], yes=True, k=[20])
    assert chosen_rows(found) == ("y",)


@pytest.mark.parametrize("operator", ["Relu", "Softmax"])
def test_a_graph_without_a_selection_has_none(operator):
    nodes = [helper.make_node(operator, ["x"], ["y"])]
    assert chosen_rows(model(nodes, [("y", FLOAT, ["batch", 50])])) == ()


def test_a_card_may_name_more():
    graph = top_k(
        more=[helper.make_node("Neg", ["x"], ["own"])], outputs=[("own", FLOAT, ["batch", 50])]
    )
    card, _ = with_card(graph, msgspec.structs.replace(graph_card(graph), rows=("own",)), "g")
    assert card.rows == ("scores", "places", "own")

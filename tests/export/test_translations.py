"""Operators that edgekit translates to ONNX itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.card import GraphCard, TensorCard
from edgekit.export.load import Loaded
from edgekit.export.to_onnx import export_graph
from edgekit.export.torch_graph import torch_graph
from edgekit.export.translations import averaging_matrix


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_matrix_averages_as_pytorch_does(size, cells):
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    expected = torch.nn.functional.adaptive_avg_pool1d(torch.from_numpy(values)[None], cells)[0]
    np.testing.assert_allclose(averaging_matrix(size, cells) @ values, expected, atol=1e-5)


@pytest.mark.parametrize("cells", [(1, 1), (5, 5), (12, 6), (7, 24)])
def test_adaptive_pooling_takes_few_nodes_and_the_same_values(cells):
    import onnx.reference

    card = GraphCard(inputs={"x": TensorCard(shape=("batch", 3, 24, 24))})
    network = torch.nn.AdaptiveAvgPool2d(cells).eval()
    model, exporter, _ = export_graph(torch_graph(Loaded(module=network), card, "pool"), None)
    assert exporter == "torch.export"
    assert len(model.graph.node) <= 4
    x = np.random.default_rng(0).normal(size=(2, 3, 24, 24)).astype(np.float32)
    (got,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(got, network(torch.from_numpy(x)), atol=1e-5)

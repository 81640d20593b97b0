"""The graphs that doctor tries engines with, and the answers that it believes."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.export.builtin.catalogue import builtin
from edgekit.export.builtin.known_answer import (
    EXPECTED,
    FEED,
    digit_answers,
    digit_images,
    write_digits_graph,
    write_sum,
)


def run(path, feeds):
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def test_the_sum_is_what_it_says(tmp_path):
    write_sum(tmp_path / "g.onnx")
    answer = run(tmp_path / "g.onnx", {"x": np.array(FEED, np.float32)})
    np.testing.assert_array_equal(answer, EXPECTED)


def test_the_digits_are_read_rightly_by_numpy_and_by_an_engine(tmp_path):
    images = digit_images()
    assert (images.shape, images.dtype) == ((10, 1, 32, 32), np.float32)
    expected = digit_answers(images)
    assert expected.argmax(axis=1).tolist() == list(range(10))
    write_digits_graph(tmp_path / "g.onnx")
    np.testing.assert_allclose(run(tmp_path / "g.onnx", {"image": images}), expected, atol=1e-4)


def test_the_graph_is_the_built_in_network(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    from edgekit.export.builtin.lenet5 import lenet5

    network = lenet5().eval()
    network.load_state_dict(safetensors.load_file(builtin("digits").weights))
    images = digit_images()
    with torch.inference_mode():
        logits = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, digit_answers(images), atol=1e-4)

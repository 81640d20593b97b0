from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.registry import task_for


def classify(card, outputs):
    task = task_for(card)
    _, fit = task.preprocess(np.zeros((8, 8, 3), np.uint8))
    return task.postprocess(outputs, fit).probabilities


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_logits_become_probabilities(card, shape):
    logits = np.array([1000.0, 1000.0, -1000.0], np.float32).reshape(shape)
    found = classify(card("classification", ["a", "b", "c"]), {"y": logits})
    assert found.tolist() == [0.5, 0.5, 0]
    assert found.dtype == np.float32


@pytest.mark.parametrize("decode", ["none", "probabilities"])
def test_probabilities_stay_as_they_are(card, decode):
    values = np.array([[0.2, 0.7, 0.1]], np.float32)
    found = classify(card("classification", postprocess={"decode": decode}), {"y": values})
    assert np.array_equal(found, values[0])


def test_a_broken_networks_nan_is_passed_on_without_a_warning(card):
    found = classify(card("classification"), {"y": np.full((1, 3), np.nan, np.float32)})
    assert np.isnan(found).all()


def test_the_output_that_has_the_labels_is_chosen_among_several(card):
    outputs = {"features": np.zeros((1, 7)), "logits": np.eye(3)[:1]}
    assert classify(card("classification", ["a", "b", "c"]), outputs).argmax() == 0


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"y": np.zeros((1, 4))}, ["3", "4", "`labels`"]),
        ({"y": np.zeros((2, 3))}, ["y (2, 3)", "(1, 3)"]),
        ({"y": np.zeros((1, 3, 7, 7))}, ["y (1, 3, 7, 7)", "(1, 3)"]),
        ({"a": np.zeros((1, 3)), "b": np.zeros((1, 3))}, ["several", "a (1, 3)"]),
    ],
)
def test_an_output_that_does_not_fit_is_named(card, outputs, words):
    with pytest.raises(BadInput) as caught:
        classify(card("classification", ["a", "b", "c"]), outputs)
    assert all(word in str(caught.value) for word in words)


def test_an_unknown_decode_gets_the_closest_match(card):
    with pytest.raises(BadInput, match="Did you mean 'softmax'"):
        task_for(card("classification", postprocess={"decode": "softmx"}))

"""The self-test of doctor: an engine is believed once it answered what is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import CheckFailed
from edgekit.export.builtin.known_answer import EXPECTED, digit_answers, digit_images
from edgekit.jobs import doctor


@pytest.mark.parametrize("target", ["onnxruntime:cpu", "openvino:cpu"])
def test_an_engine_that_works_is_believed(target):
    doctor.known_answer(target)


def test_an_engine_that_cannot_add_is_not():
    with pytest.raises(CheckFailed, match="null:cpu answered"):
        doctor.known_answer("null:cpu")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda logits: logits[::-1], r"reads ten digits as \[9, 8, 7"),
        (lambda logits: logits * 1.05, r"figures are up to 0\.\d+ off"),
    ],
)
def test_an_engine_that_adds_and_convolves_wrongly_is_not(monkeypatch, change, sentence):
    def answer(target, write, feeds):
        if "x" in feeds:
            return np.array(EXPECTED)
        return change(digit_answers(digit_images()))

    monkeypatch.setattr(doctor, "_answer", answer)
    with pytest.raises(CheckFailed, match=sentence):
        doctor.known_answer("openvino:cpu")


def test_an_execution_provider_gets_the_sum_alone(monkeypatch):
    asked = []

    def answer(target, write, feeds):
        asked.append(sorted(feeds))
        return np.array(EXPECTED)

    monkeypatch.setattr(doctor, "_answer", answer)
    doctor.known_answer("onnxruntime:ep=QNN")
    assert asked == [["x"]]

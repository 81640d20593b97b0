"""Threshold and classes, as they are set from outside."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.demo.controls import Controls

LABELS = ("person", "car", "dog")


def test_classes_by_name_and_by_index():
    controls = Controls(LABELS, classes=["dog", "0"])
    assert controls.setting.classes == {0, 2}
    controls.set_classes(None)
    assert controls.setting.classes is None


def test_a_label_that_is_a_number_is_meant_by_its_name():
    assert Controls(("a", "0"), classes=["0"]).setting.classes == {1}


def test_a_model_without_labels_takes_indices():
    assert Controls((), classes=["7"]).setting.classes == {7}


@pytest.mark.parametrize("wrong", ["dgo", "3", "-1"])
def test_an_unknown_class_is_refused_and_nothing_changes(wrong):
    controls = Controls(LABELS, classes=["dog"])
    with pytest.raises(BadInput, match=f"no class '{wrong}'"):
        controls.set_classes(["car", wrong])
    assert controls.setting.classes == {2}


def test_the_closest_class_is_named():
    with pytest.raises(BadInput) as caught:
        Controls(LABELS, classes=["persn"])
    assert "person" in caught.value.hint


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_threshold_lies_between_0_and_1(wrong):
    with pytest.raises(BadInput, match="between 0 and 1"):
        Controls(LABELS, confidence=wrong)
    controls = Controls(LABELS)
    controls.set_confidence(0.4)
    assert controls.setting.confidence == 0.4

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.registry import task_for


@pytest.mark.parametrize("task", ["raw", "audio", "text"])
def test_tensors_go_out_as_they_come(card, task):
    outputs = {"y": np.arange(3), "h": np.zeros((1, 2))}
    found = task_for(card(task)).postprocess(outputs, None)
    assert found.outputs == outputs


def test_an_image_is_refused(card):
    with pytest.raises(BadInput, match=r"\.npz"):
        task_for(card("raw")).preprocess(np.zeros((8, 8, 3), np.uint8))

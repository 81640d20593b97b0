"""The script that holds the pipeline against the bare engine."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from edgekit.core.card import card_from_dict
from edgekit.core.runtime import TensorInfo
from edgekit.tasks.registry import task_for


@pytest.fixture(scope="module")
def script(root):
    path = root / "tools/peers/pipeline_share.py"
    spec = importlib.util.spec_from_file_location("pipeline_share", path)
    module = importlib.util.module_from_spec(spec)
    # Its records look themselves up there.
    sys.modules["pipeline_share"] = module
    spec.loader.exec_module(module)
    return module


def rounds(script, shares, others=0.0):
    """Rounds in which the engine alone does 100 frames a second."""
    return [
        {script.BARE: script.Turn(100, 0), script.EVERY: script.Turn(100 * share, others)}
        for share in shares
    ]


def test_the_share_is_the_median_of_the_rounds(script, capsys):
    assert script.table(rounds(script, [0.9, 0.2, 0.95, 0.8, 0.91])) == pytest.approx(0.9)
    assert "| 0.900 (0.800 to 0.910) |" in capsys.readouterr().out


def test_rounds_that_others_disturbed_are_left_out_where_enough_are_left(script):
    quiet, loud = rounds(script, [0.9] * 5), rounds(script, [1.5] * 9, others=0.3)
    assert script.undisturbed([*loud, *quiet]) == (quiet, 5)
    assert script.undisturbed([*loud, *quiet[1:]]) == ([*loud, *quiet[1:]], 4)


class Binding:
    def __init__(self, feeds):
        self.inputs = dict(feeds)
        self.outputs = {"y": np.zeros((1, 2), np.float32)}

    def run(self):
        pass


class Session:
    """Answers at once."""

    inputs = (TensorInfo("x", "float32", (1, 3, 8, 8)),)

    def bind(self, feeds):
        return Binding(feeds)


def test_every_way_answers_frames_and_says_where_their_time_went(script):
    section = {"schema": "edgekit.card/1", "task": "classification", "labels": ["a", "b"]}
    section |= {"preprocess": {"size": [8, 8]}, "postprocess": {"decode": "softmax"}}
    images = script.pictures(None, (64, 48))
    task = task_for(card_from_dict(section, "test"))
    opened = script.OpenedEngine(Session(), task, "x", images)
    turns = {name: script.turn(way) for name, way in script.ways(opened, 0.2).items()}
    assert all(one.rate > 0 and 0 <= one.others <= 1 for one in turns.values())
    assert set(turns[script.EVERY].stages_ms) == set(script.STAGES)
    assert turns[script.EVERY].ages_ms

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.card import (
    Axis,
    GraphCard,
    ModelCard,
    Postprocess,
    Preprocess,
    TensorCard,
    card_from_dict,
    card_to_dict,
)
from edgekit.core.errors import BadInput

DETECTION = {
    "schema": "edgekit.card/1",
    "task": "detection",
    "labels": ["cat", "dog"],
    "inputs": {"x": {"dtype": "float32", "layout": "NCHW", "shape": ["batch", 3, 32, 32]}},
    "preprocess": {"resize": "letterbox", "size": [32, 32], "anchor": "top-left"},
    "postprocess": {"decode": "yolox"},
}


def without(key):
    return {name: value for name, value in DETECTION.items() if name != key}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"preprocess": {"size": [99_999_999_999, 32]}}, "size"),
        ({"preprocess": {"size": [32, 32], "resize": "crop", "resize_to": 0}}, "resize_to"),
        ({"preprocess": {"size": [32, 32], "resize_to": 10**12}}, "resize_to"),
        ({"inputs": {"x": {"shape": [1], "range": [5, -5]}}}, "range"),
    ],
)
def test_a_size_or_a_range_that_is_none_is_refused(content, words):
    with pytest.raises(BadInput, match=words):
        card_from_dict(content, "x.card.yaml")


TENSOR = {"shape": [1, {"name": "b"}]}


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ({"task": "x"}, ["raw", "audio"]),
        ({"preprocess": {"size": [1, 1], "resize": "x"}}, ["stretch", "crop"]),
        ({"preprocess": {"size": [1, 1], "color": "RGB"}}, ["'colour'"]),
        ({"inputs": {"x": {"shape": [{"name": "b", "mx": 3}]}}}, ["'max'"]),
        ({"graphs": {"a": {"outputs": {"x": {**TENSOR, "shpe": 1}}}}}, ["'shape'"]),
        ({"graphs": {"a": {"outputs": {"x": {**TENSOR, "size": 1}}}}}, ["dtype", "range"]),
        ({"size": [1, 2]}, ["preprocess", "labels"]),
        ({"inputs": {"x": {**TENSOR, "dtype": "foo"}}}, ["float32"]),
        ({"q` - at `$.zzz": 1}, ["task"]),
        ({"q` - at `$.task[0].x": 1}, ["task"]),
        ({"q` - at `$.task": 1}, ["task"]),
        ({"task": "`$.x[0]'"}, ["raw"]),
    ],
)
def test_what_is_known_is_what_that_place_takes(content, hint):
    with pytest.raises(BadInput) as caught:
        card_from_dict(content, "x.card.yaml")
    assert all(word in caught.value.hint for word in hint)
    assert not {"letterbox", "interpolation", "keypoints"} & set(caught.value.hint.split(", "))


@pytest.mark.parametrize("dtype", ["bool", "bfloat16", "object", "float8_e4m3fn", "uint4"])
def test_every_type_that_a_graph_has_may_stand_in_a_card(dtype):
    card = card_from_dict({"inputs": {"x": {**TENSOR, "dtype": dtype}}}, "x.card.yaml")
    assert card_from_dict(card_to_dict(card), "again") == card


def test_a_card_comes_back_from_plain_data_unchanged():
    card = card_from_dict(DETECTION, "x.card.yaml")
    assert card_from_dict(card_to_dict(card), "again") == card
    assert card.preprocess.size == (32, 32)


@given(
    low=st.integers(1, 4),
    more=st.integers(0, 4),
    labels=st.lists(st.text(max_size=5), max_size=4),
    task=st.sampled_from(["raw", "audio", "text"]),
)
def test_any_card_survives_json(low, more, labels, task):
    axis = Axis(name="batch", min=low, typical=low + more, max=None)
    tensor = TensorCard(shape=(axis, "time", 3), dtype="int64", range=(0.0, 1.0))
    card = ModelCard(task=task, labels=tuple(labels), inputs={"x": tensor}, state={"h_out": "h"})
    content = msgspec.json.decode(msgspec.json.encode(card_to_dict(card)))
    assert card_from_dict(content, "json") == card


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**DETECTION, "lables": []}, ["x.card.yaml", "lables", "'labels'"]),
        (
            {**DETECTION, "preprocess": {**DETECTION["preprocess"], "color": "BGR"}},
            ["color", "$.preprocess", "'colour'"],
        ),
        ({**DETECTION, "task": "detekt"}, ["detekt", "$.task"]),
        ({**DETECTION, "labels": [1, 2]}, ["$.labels", "str"]),
        (
            {**DETECTION, "preprocess": {**DETECTION["preprocess"], "size": [32]}},
            ["$.preprocess.size"],
        ),
        ({**DETECTION, "schema": "edgekit.card/2"}, ["edgekit.card/2"]),
        (without("preprocess"), ["`preprocess`"]),
        (without("postprocess"), ["`postprocess`"]),
        ([1, 2], ["no keys"]),
        (None, ["no keys"]),
    ],
)
def test_a_wrong_card_names_the_file_and_the_key(content, words):
    with pytest.raises(BadInput) as caught:
        card_from_dict(content, "x.card.yaml")
    assert all(word in str(caught.value) for word in ["x.card.yaml", *words])


@pytest.mark.parametrize(
    "section",
    [
        {"size": [0, 32]},
        {"size": [32, 32], "std": [1, 0, 1]},
        {"size": [32, 32], "mean": [1, 2]},
        {"size": [32, 32], "pad": 256},
    ],
)
def test_preprocessing_that_cannot_work_is_refused(section):
    with pytest.raises(BadInput):
        card_from_dict({**DETECTION, "preprocess": section}, "x")


@pytest.mark.parametrize("section", [{"confidence": 1.5}, {"iou": -0.1}, {"max_detections": 0}])
def test_postprocessing_that_cannot_work_is_refused(section):
    with pytest.raises(BadInput):
        card_from_dict({**DETECTION, "postprocess": {"decode": "yolox", **section}}, "x")


@pytest.mark.parametrize(
    "sizes", [{"min": 0}, {"min": 2, "max": 1}, {"min": 1, "typical": 9, "max": 8}]
)
def test_an_axis_keeps_its_sizes_in_order(sizes):
    with pytest.raises(ValueError, match="typical"):
        Axis(name="batch", **sizes)


def test_a_layout_names_every_axis():
    with pytest.raises(ValueError, match="NCHW"):
        TensorCard(shape=(1, 3, 32), layout="NCHW")


def test_grey_needs_one_mean_only():
    grey = Preprocess(size=(8, 8), colour="GRAY", mean=(0.5,), std=(0.5,))
    assert grey.channels == 1


def test_graphs_fill_in_what_the_card_leaves_open():
    card = ModelCard(
        task="classification",
        preprocess=Preprocess(size=(8, 8)),
        postprocess=Postprocess(decode="softmax"),
    )
    main = GraphCard(inputs={"x": TensorCard(shape=(1, 3, 8, 8))})
    step = GraphCard(state={"h1": "h0"})
    filled = card.with_graphs({"main": main, "step": step})
    assert filled.graph("main") == main
    assert filled.graph("step").state == {"h1": "h0"}
    assert filled.graph("absent") == GraphCard()
    assert filled.task == "classification"

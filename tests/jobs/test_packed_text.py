"""What is written into run.py computes what edgekit computes, for every kind of card."""

from __future__ import annotations

import types

import cv2
import numpy as np
import pytest

from edgekit.core.card import Axis, ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.jobs.packing.answers import answers
from edgekit.jobs.packing.pictures import pictures
from edgekit.tasks.baked import baked_card
from edgekit.tasks.cards import override
from edgekit.tasks.heads import HEADS
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.registry import task_for

ROWS, COLUMNS = 48, 64
SIZES = [(48, 64), (7, 5), (100, 31), (31, 100), (427, 640), (1, 200)]
FITS = [
    {"resize": "stretch"},
    {"resize": "letterbox", "anchor": "center"},
    {"resize": "letterbox", "anchor": "top-left", "pad": 0},
    {"resize": "crop"},
    {"resize": "crop", "resize_to": 56},
]
NORMS = [
    {},
    {"scale": 1 / 255},
    {"scale": 1 / 255, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
    {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    {"mean": (103.5, 116.3, 123.7)},
]


def pictures_of(sizes):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def card(task="classification", decode="softmax", layout="NCHW", outputs=None, **preprocess):
    rules = Preprocess(size=(ROWS, COLUMNS), **preprocess)
    channels = rules.channels
    shape = (channels, ROWS, COLUMNS) if layout == "NCHW" else (ROWS, COLUMNS, channels)
    return ModelCard(
        task=task,
        inputs={"the input": TensorCard(shape=(Axis("batch"), *shape), layout=layout)},
        outputs=outputs or {},
        preprocess=rules,
        postprocess=Postprocess(decode=decode),
    )


def written(parts):
    """The functions of a part of the script, in a module of their own."""
    module = types.ModuleType("written")
    module.__dict__.update(cv2=cv2, np=np)
    exec("\n".join([*parts.constants, *parts.functions]), module.__dict__)
    return module


@pytest.mark.parametrize("fit", FITS, ids=str)
@pytest.mark.parametrize("colour", ["RGB", "BGR", "GRAY"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_preprocessing_is_edgekits_number_for_number(fit, colour, layout):
    for norm in NORMS:
        for interpolation in ("nearest", "bilinear", "bicubic", "area"):
            model = card(layout=layout, colour=colour, interpolation=interpolation, **fit, **norm)
            parts = pictures(model, fit=True)
            names = {"np": np, "cv2": cv2}
            exec("\n".join([*parts.constants, *parts.function]), names)
            for image in pictures_of(SIZES):
                expected, place = preprocessor(model)(image)
                pixels, shift, scale = names["preprocess"](image)
                assert pixels.dtype == np.float32
                assert pixels.flags.c_contiguous
                assert np.array_equal(pixels, expected)
                assert shift == (place.left, place.top)
                assert scale == (place.scale_x, place.scale_y)


def test_a_graph_with_preprocessing_inside_gets_pixels():
    model = baked_card(card(colour="RGB", resize="letterbox", scale=1 / 255), ["preprocess"])
    parts = pictures(model, fit=False)
    names = {"np": np, "cv2": cv2}
    exec("\n".join(parts.function), names)
    (image,) = pictures_of([(100, 31)])
    pixels = names["preprocess"](image)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, ROWS, COLUMNS, 3))
    whole = card(colour="RGB", resize="letterbox", layout="NHWC")
    assert np.array_equal(pixels, preprocessor(whole)(image)[0])


def heads():
    """Decode to an output that a network might have, with ties and objects that overlap."""
    random = np.random.default_rng(1)
    anchors, classes = sum(-(-ROWS // s) * -(-COLUMNS // s) for s in (8, 16, 32)), 80
    centre = random.uniform(0, 60, (anchors, 2))
    size = random.uniform(2, 40, (anchors, 2))
    scores = np.round(random.uniform(0, 1, (anchors, classes)) ** 8, 2)
    objectness = np.round(random.uniform(0.5, 1, (anchors, 1)), 1)
    raw = np.concatenate([centre / 60, np.log(size / 8), objectness, scores], axis=1)
    v5 = np.concatenate([centre, size, objectness, scores], axis=1)
    v8 = np.concatenate([centre, size, scores], axis=1).T
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    chosen = np.concatenate([corners, objectness, random.integers(0, 80, (anchors, 1))], axis=1)
    chosen[::3, 4] = 0
    fractions = np.concatenate([centre, size], axis=1) / 64
    return {
        "yolox": raw,
        "yolov5": v5,
        "yolov8": v8,
        "end2end": chosen,
        "rtdetr": np.concatenate([fractions, scores], axis=1),
        "rtdetr-end2end": np.concatenate([fractions, chosen[:, 4:]], axis=1),
    }


@pytest.mark.parametrize("decode", HEADS)
@pytest.mark.parametrize("fit", FITS, ids=str)
@pytest.mark.parametrize("nothing", [False, True])
def test_detections_are_edgekits_number_for_number(decode, fit, nothing):
    outputs = {"a b": heads()[decode][None].astype(np.float32)}
    if nothing:
        outputs["a b"] = np.full_like(outputs["a b"], -100 if decode == "yolox" else 0)
        outputs["a b"][..., 4:] = 0
    model = card("detection", decode, **fit)
    if "crop" in fit.values():
        model = override(model, multi_label=True)
    module = written(answers(model, outputs, ["main"]))
    task = task_for(model)
    for image in pictures_of(SIZES):
        _, place = task.preprocess(image)
        expected = task.postprocess(outputs, place)
        boxes, scores, classes = module.predict(lambda feeds: outputs, image)
        assert (len(boxes) == 0) == nothing
        assert np.array_equal(boxes, expected.boxes)
        assert np.array_equal(scores, expected.scores)
        assert np.array_equal(classes, expected.classes)


@pytest.mark.parametrize("decode", ["softmax", "probabilities"])
@pytest.mark.parametrize("shape", [(1, 10), (1, 10, 1, 1)])
def test_classes_are_edgekits_number_for_number(decode, shape):
    logits = np.random.default_rng(2).normal(0, 5, shape).astype(np.float32)
    model = card("classification", decode)
    outputs = {"features": np.zeros((1, 4, 3, 3), np.float32), "out": logits}
    module = written(answers(model, outputs, ["main"]))
    (image,) = pictures_of([(100, 31)])
    expected = task_for(model).postprocess(outputs, task_for(model).preprocess(image)[1])
    assert np.array_equal(module.predict(lambda feeds: outputs, image), expected.probabilities)


@pytest.mark.parametrize("fit", FITS[:3], ids=str)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_masks_are_edgekits_pixel_for_pixel(fit, layout):
    scores = np.random.default_rng(3).normal(size=(1, 5, 12, 16)).astype(np.float32)
    if layout == "NHWC":
        scores = scores.transpose(0, 2, 3, 1)
    described = {"out": TensorCard(shape=("batch", *scores.shape[1:]), layout=layout)}
    model = card("segmentation", "argmax", outputs=described, **fit)
    outputs = {"out": scores}
    module = written(answers(model, outputs, ["main"]))
    task = task_for(model)
    for image in pictures_of(SIZES):
        expected = task.postprocess(outputs, task.preprocess(image)[1])
        found = module.predict(lambda feeds: outputs, image)
        assert found.shape == image.shape[:2]
        assert np.array_equal(found, expected.mask)


def test_of_two_outputs_that_fit_the_one_with_the_labels_is_read():
    model = card("classification", "softmax")
    model = ModelCard(
        task=model.task, labels=("a", "b", "c"), inputs=model.inputs,
        preprocess=model.preprocess, postprocess=model.postprocess,
    )  # fmt: skip
    outputs = {"other": np.zeros((1, 7), np.float32), "mine": np.ones((1, 3), np.float32)}
    module = written(answers(model, outputs, ["main"]).__class__(
        functions=answers(model, outputs, ["main"]).functions, constants=[]
    ))  # fmt: skip
    (image,) = pictures_of([(7, 5)])
    assert len(module.predict(lambda feeds: outputs, image)) == 3


def test_a_head_without_a_script_is_refused_with_the_closest():
    with pytest.raises(BadInput, match="yolov8"):
        answers(card("detection", "yolov9"), {"out": np.zeros((1, 84, 10))}, ["main"])


def test_a_decoder_whose_function_is_no_name_is_refused():
    with pytest.raises(BadInput, match="no function's name"):
        answers(card("detection", "d.py:a b; import os"), {}, ["main"])


def test_names_that_come_from_the_model_stay_text():
    """A tensor's name is anyone's; in the script it is a literal and nothing else."""
    name = '"] or print("x") #\\'
    outputs = {name: np.zeros((1, 3), np.float32)}
    module = written(answers(card(), outputs, ["main"]))
    (image,) = pictures_of([(7, 5)])
    assert len(module.predict(lambda feeds: outputs, image)) == 3

"""A card that cannot read its graph's outputs is refused before anything is compiled."""

from __future__ import annotations

import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.misfit import refuse_misfit

INPUTS = {"x": {"shape": ["batch", 3, 32, 32]}}
HEADS = [
    ("yolov8", [["batch", 6, "anchors"]], {}),
    ("yolov8", [["batch", 6, 21]], {}),
    ("yolov5", [["batch", 21, 7]], {}),
    ("yolox", [["batch", 21, 7]], {}),
    ("yolox", [["batch", "rows", 7]], {}),
    ("yolov8-segment", [["batch", 38, 21], ["batch", 32, 8, 8]], {}),
    ("yolov5-segment", [["batch", 21, 39], ["batch", 32, 8, 8]], {}),
    ("yolov8-pose", [["batch", 57, 21]], {"keypoints": [17, 3]}),
]


@pytest.fixture
def of(card):
    """A card of a task, its labels as one text, with outputs of these shapes."""

    def make(labels, shapes, *, task="detection", inputs=INPUTS, **rules):
        outputs = {str(at): {"shape": shape} for at, shape in enumerate(shapes)}
        return card(task, labels, postprocess=rules, inputs=inputs, outputs=outputs)

    return make


@pytest.mark.parametrize(("decode", "shapes", "more"), HEADS)
def test_labels_are_counted_against_the_outputs(of, decode, shapes, more):
    refuse_misfit(of("ab", shapes, decode=decode, **more), "m.onnx")
    refuse_misfit(of("", shapes, decode=decode, **more), "m.onnx")
    with pytest.raises(BadInput, match=r"m\.onnx.*names 3 classes.*answers 2"):
        refuse_misfit(of("abc", shapes, decode=decode, **more), "m.onnx")


@pytest.mark.parametrize(
    ("decode", "shapes"),
    [
        ("yolox", [["batch", 20, 7]]),
        ("yolox", [["batch", 6, 21]]),
        ("yolov5", [["batch", 21, 5]]),
        ("end2end", [["batch", 300, 84]]),
        ("end2end", [["batch", 300, 6], ["batch", 300, 6]]),
        ("yolov8-segment", [["batch", 38, 21]]),
    ],
)
def test_a_head_that_reads_none_of_the_outputs_is_refused(of, decode, shapes):
    with pytest.raises(BadInput, match=r"m\.onnx: .*(output|outputs)"):
        refuse_misfit(of("ab", shapes, decode=decode), "m.onnx")


@pytest.mark.parametrize(
    ("task", "decode", "shape"),
    [("classification", "softmax", ["batch", 3]), ("segmentation", "argmax", ["batch", 3, 8, 8])],
)
def test_other_tasks_are_asked_too(of, task, decode, shape):
    refuse_misfit(of("abc", [shape], task=task, decode=decode), "m.onnx")
    with pytest.raises(BadInput, match=r"m\.onnx: "):
        refuse_misfit(of("ab", [shape], task=task, decode=decode), "m.onnx")


@pytest.mark.parametrize("decode", ["end2end", "yolov8"])
def test_outputs_that_do_not_say_it_pass(of, decode):
    refuse_misfit(of("ab", [], decode=decode), "m.onnx")
    refuse_misfit(of("ab", [["batch", "rows", "columns"]], decode=decode), "m.onnx")


def test_a_fixed_batch_is_read_one_image_at_a_time(of):
    inputs = {"x": {"shape": [4, 3, 32, 32]}}
    refuse_misfit(of("ab", [[4, 21, 7]], decode="yolox", inputs=inputs), "m.onnx")


def test_a_users_decoder_is_loaded_and_not_called(of, tmp_path):
    shown = of("ab", [["batch", 21, 7]], decode="heads.py:mine")
    with pytest.raises(BadInput, match="consent"):
        refuse_misfit(shown, "m.onnx", folder=tmp_path)
    (tmp_path / "heads.py").write_text("def mine(outputs, size):\n    raise SystemExit\n")
    refuse_misfit(shown, "m.onnx", folder=tmp_path, trust_code=True)


def test_outputs_that_no_memory_holds_are_not_asked(of):
    refuse_misfit(of("ab", [["batch", 2**62, 2**40]], decode="end2end"), "m.onnx")

"""The card inside an ONNX file."""

from __future__ import annotations

import onnx
import pytest

from edgekit.core.card import Axis, GraphCard, ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.onnx_keys import CARD_KEY
from edgekit.export.metadata import graph_card, read_card, with_card, write_card

CARD = ModelCard(
    task="classification",
    labels=("a", "é"),
    inputs={"x": TensorCard(shape=(Axis("batch", max=8), 3), layout="NC", range=(0, 1))},
    outputs={"y": TensorCard(shape=("batch", 2))},
    preprocess=Preprocess(size=(1, 3), scale=1 / 255),
    postprocess=Postprocess(decode="softmax"),
    provenance={"origin": "test"},
)


@pytest.fixture
def path(tmp_path, linear_model):
    file = tmp_path / "net.onnx"
    file.write_bytes(linear_model.SerializeToString())
    return file


def metadata(path, **values: str):
    model = onnx.load(path)
    onnx.helper.set_model_props(model, values)
    path.write_bytes(model.SerializeToString())
    return path


def detector(path, shape: list[int], **values: str):
    """An Ultralytics export: metadata and one output of `shape`."""
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["output0"])],
        "g",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 32, 64])],
        [helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, shape)],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    own = {
        "task": "detect",
        "names": "{0: 'cat', 2: 'it\\'s', 1: 'dog'}",
        "imgsz": "[32, 64]",
        "stride": "32",
        "version": "8.3.0",
    }
    return metadata(path, **{**own, **values})


def test_a_card_survives_the_file(path):
    write_card(path, CARD)
    assert read_card(path) == CARD
    write_card(path, ModelCard())
    assert read_card(path) == ModelCard()
    assert [entry.key for entry in onnx.load(path).metadata_props].count(CARD_KEY) == 1


def test_other_metadata_stays(path):
    metadata(path, author="me")
    write_card(path, CARD)
    assert "author" in {entry.key for entry in onnx.load(path).metadata_props}


def test_a_graph_without_a_card_has_none(path):
    assert read_card(path) is None


@pytest.mark.parametrize("value", ["{", "[]", '{"task": "detektion"}', '{"tsak": "raw"}'])
def test_a_malformed_card_names_the_metadata_key(path, value):
    with pytest.raises(BadInput, match=r"'edgekit\.card'"):
        read_card(metadata(path, **{CARD_KEY: value}))


@pytest.mark.parametrize(
    ("shape", "values", "head"),
    [
        ([1, 7, 84], {}, "yolov8"),
        ([1, 300, 6], {}, "end2end"),
        ([1, 300, 6], {"end2end": "True"}, "end2end"),
        ([1, 84, 8], {}, "yolov5"),
    ],
)
def test_an_ultralytics_detector_brings_its_card(tmp_path, shape, values, head):
    card = read_card(detector(tmp_path / "y.onnx", shape, **values))
    assert card.labels == ("cat", "dog", "it's")
    assert card.preprocess == Preprocess(size=(32, 64), resize="letterbox", scale=1 / 255, pad=114)
    chosen = head == "end2end"
    assert card.postprocess == Postprocess(
        decode=head, iou=0.7, max_detections=300, multi_label=chosen
    )


def test_an_ultralytics_classifier_is_cropped_and_ends_in_its_own_softmax(tmp_path):
    card = read_card(detector(tmp_path / "y.onnx", [1, 3], task="classify"))
    assert card.preprocess.resize == "crop"
    assert card.postprocess.decode == "probabilities"


def test_an_ultralytics_task_without_a_head_is_raw(tmp_path):
    card = read_card(detector(tmp_path / "y.onnx", [1, 56, 84], task="obb"))
    assert (card.task, card.provenance["task"], card.postprocess) == ("raw", "obb", None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", "__import__('os').abort()"),
        ("names", "['a'"),
        ("names", "[]"),
        ("names", "{0: 'a', '0': 'b'}"),
        ("names", "{0: 'a', 1000000000: 'b'}"),
        ("names", "{0: "),
        ("imgsz", "-640"),
        ("imgsz", "[1, 2, 3]"),
        ("imgsz", "[0, 2]"),
    ],
)
def test_malformed_ultralytics_metadata_names_the_key(tmp_path, key, value):
    with pytest.raises(BadInput, match=f"'{key}'"):
        read_card(detector(tmp_path / "y.onnx", [1, 7, 84], **{key: value}))


def test_a_detector_whose_output_fits_no_head_asks_for_a_card(tmp_path):
    with pytest.raises(BadInput, match=r"3 classes.*9, 84") as caught:
        read_card(detector(tmp_path / "y.onnx", [1, 9, 84]))
    assert "--card" in caught.value.hint


def test_what_is_no_onnx_file_has_no_card(tmp_path):
    (tmp_path / "t.onnx").write_text("text, and not a short one at that")
    with pytest.raises(BadInput, match="not an ONNX file"):
        read_card(tmp_path / "t.onnx")


def test_a_graph_tells_its_own_tensors(linear_model):
    linear_model.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_param")
    card = graph_card(linear_model)
    assert card.inputs == {"x": TensorCard(shape=("batch", 3))}
    linear_model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(BadInput, match="'x' of the graph has no shape"):
        graph_card(linear_model)


def test_the_card_adds_ranges_and_layout_and_the_graph_keeps_its_shape(linear_model):
    full, notes = with_card(linear_model, CARD.graph("main"), "g")
    assert full.inputs["x"] == CARD.inputs["x"]
    assert full.outputs["y"] == TensorCard(shape=("batch", 2))
    assert notes == []


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (GraphCard(inputs={"z": TensorCard(shape=("batch", 3))}), "no tensor 'z'"),
        (GraphCard(inputs={"x": TensorCard(shape=("batch", 4))}), "says 4 for axis 1 of 'x'"),
        (GraphCard(inputs={"x": TensorCard(shape=("batch",))}), "1 axes"),
        (GraphCard(inputs={"x": TensorCard(shape=("batch", 3), dtype="uint8")}), "uint8"),
        (GraphCard(outputs={"y": TensorCard(shape=("n", 2, 1), layout="NCL")}), "layout NCL"),
        (GraphCard(outputs={"z": TensorCard(shape=(1,))}), "no output 'z'"),
        (GraphCard(state={"z": "x"}), "'z' to 'x'"),
        (GraphCard(state={"y": "x"}), "cannot become"),
    ],
)
def test_a_card_that_contradicts_the_graph_is_refused(linear_model, card, said):
    with pytest.raises(BadInput) as caught:
        with_card(linear_model, card, "the graph")
    assert said in caught.value.message


def test_a_fixed_graph_under_a_dynamic_card_stays_fixed_and_says_so(linear_model):
    for tensor in [*linear_model.graph.input, *linear_model.graph.output]:
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    full, notes = with_card(linear_model, CARD.graph("main"), "g")
    assert full.inputs["x"].shape == (1, 3)
    assert notes == ["axis 0 of 'x' is 'batch' in the card, but g is fixed at 1 there."]


def test_a_card_that_is_nested_100_000_times_is_one_sentence(path):
    with pytest.raises(BadInput, match="too deeply"):
        read_card(metadata(path, **{CARD_KEY: "[" * 100_000}))

"""A packed folder of a baked model checks itself as its certificate does, and answers alike."""

from __future__ import annotations

import shutil
import types
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from packed import own_answer, run_script, script_answer

from edgekit import api
from edgekit.benchmarks.alignment import align_detections
from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.parity import ParityMeter
from edgekit.jobs.model.bundle import read_manifest
from edgekit.jobs.packing.alignment import ALIGNMENT

ORT, OV = "onnxruntime:cpu", "openvino:cpu"
SIDE, ANCHORS, CLASSES = 16, 40, 3

alignment = types.ModuleType("alignment")
exec(ALIGNMENT, alignment.__dict__)


# --- the rules are the certificate's ---


def scene(random, objects):
    """Rows (K, 6) as a baked graph gives them: best first, scores with ties, zeros behind."""
    rows = np.zeros((ANCHORS, 6), np.float32)
    centre = random.uniform(0, 400, (objects, 2))
    size = random.uniform(0, 120, (objects, 2))
    rows[:objects, :2], rows[:objects, 2:4] = centre - size / 2, centre + size / 2
    rows[:objects, 4] = np.round(random.uniform(0.02, 1, objects) ** 2, 2)
    rows[:objects, 5] = random.integers(0, CLASSES, objects)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def other_side(random, rows, noise, replaced):
    """The same objects by a model that computes a little, or altogether, differently."""
    rows = rows.copy()
    used = rows[:, 4] > 0
    rows[used, :4] += random.normal(0, 20 * noise, (used.sum(), 4))
    rows[used, 4] = np.clip(rows[used, 4] + random.normal(0, noise, used.sum()), 0, 1)
    swapped = used & (random.random(len(rows)) < replaced)
    rows[swapped] = scene(random, swapped.sum())[: swapped.sum()]
    return rows[np.argsort(-rows[:, 4], kind="stable")].astype(np.float32)


def decibels(pairs):
    meter = ParityMeter()
    for truth, found in pairs:
        meter.add(truth, found)
    return meter.result().sqnr_db


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    objects=st.lists(st.integers(0, ANCHORS), min_size=1, max_size=4),
    confidence=st.sampled_from([0.0, 0.25, 0.3, 0.7, 1.0]),
    noise=st.sampled_from([0.0, 1e-3, 0.05, 0.5]),
    replaced=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
def test_the_figure_is_the_certificates(seed, objects, confidence, noise, replaced):
    random = np.random.default_rng(seed)
    truth = [scene(random, count)[None] for count in objects]
    found = [other_side(random, one[0], noise, replaced)[None] for one in truth]
    card = ModelCard(
        task="detection",
        preprocess=Preprocess(size=(300, 400)),
        postprocess=Postprocess(decode="end2end", confidence=confidence),
    )
    expected = decibels(zip(*align_detections(truth, found, card), strict=True))
    pictures = [
        pair
        for one, other in zip(truth, found, strict=True)
        for pair in zip(one, other, strict=True)
    ]
    # The device divides in float32, the certificate in float64.
    found_there = decibels([alignment.align(pictures, confidence, 400)])
    assert found_there == pytest.approx(expected, rel=1e-5, abs=1e-6)


# --- a small detector, all the way ---


def detector(folder: Path) -> Path:
    """A network without training: boxes and scores of every anchor are sums over the picture."""
    random = np.random.default_rng(7)
    columns = 5 + CLASSES
    weights = random.normal(0, 0.25, (3 * SIDE * SIDE, ANCHORS * columns)).astype(np.float32)
    scale = np.array([SIDE, SIDE, SIDE, SIDE, *[1] * (1 + CLASSES)], np.float32)
    helper, of = onnx.helper, onnx.numpy_helper.from_array
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["sums"]),
        helper.make_node("Sigmoid", ["sums"], ["shares"]),
        helper.make_node("Reshape", ["shares", "shape"], ["rows"]),
        helper.make_node("Mul", ["rows", "scale"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", 1, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output", 1, ["batch", ANCHORS, columns])],
        [
            of(weights, "weights"),
            of(scale, "scale"),
            of(np.array([-1, ANCHORS, columns], np.int64), "shape"),
        ],
    )
    path = folder / "detector.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    card = {
        "schema": "edgekit.card/1",
        "task": "detection",
        "labels": ["a", "b", "c"],
        "preprocess": {
            "size": [SIDE, SIDE],
            "resize": "letterbox",
            "colour": "RGB",
            "scale": 1 / 255,
            "mean": [0.5, 0.5, 0.5],
        },
        "postprocess": {"decode": "yolov5", "confidence": 0.25, "iou": 0.5, "max_detections": 20},
    }
    (folder / "detector.card.yaml").write_text(yaml.safe_dump(card))
    return path


@pytest.fixture(scope="module")
def detecting(tmp_path_factory, digits):
    """A bundle of it with everything inside, in every precision of the two engines."""
    folder = tmp_path_factory.mktemp("detector")
    api.deploy(
        str(detector(folder)), folder / "bundle", targets=(ORT, OV), calibration=digits,
        bake=("preprocess", "nms"), time=0.1,
    )  # fmt: skip
    return folder / "bundle"


def check_every_entry(bundle: Path, folder: Path):
    """Pack every entry; the script's figure must be what verify finds in the same entry."""
    manifest = read_manifest(bundle)
    entries = {(one.target, one.variant, one.compute): one.name for one in manifest.engines}
    found = {
        (one.target, one.variant, one.compute): one.checks["parity"]
        for one in api.verify(bundle).entries
    }
    for key, name in entries.items():
        target, variant, compute = key
        output = folder / name
        document = api.pack(f"{bundle}@{variant}", output, target=target, compute=compute)
        ended = run_script(output, "--check")
        said = (ended.stdout + ended.stderr).split()
        assert float(said[1]) == pytest.approx(manifest.golden_sqnr_db[name], abs=0.06)
        assert said[0] == ("PASS" if ended.returncode == 0 else "FAIL")
        if key in found:  # what failed its certificate is not verified
            assert said[0] == found[key].verdict
        yield document, output


def test_every_precision_gets_the_certificates_verdict(detecting, tmp_path):
    packed = list(check_every_entry(detecting, tmp_path))
    assert {document.variant for document, _ in packed} >= {"fp32", "int8-u8s8"}


def break_answers(folder: Path, change: str):
    """Let run.py answer something else; it may be edited, so its checksum is not looked at."""
    text = (folder / "run.py").read_text()
    broken = (
        "def broken(role='main'):\n"
        "    run = load(role)\n"
        "    def other(feeds):\n"
        "        rows = run(feeds)['detections']\n"
        f"        {change}\n"
        "        return {'detections': rows}\n"
        "    return other\n\n\n"
    )
    text = text.replace("if __name__", broken + "if __name__")
    text = text.replace("load, show)", "broken, show)")
    (folder / "run.py").write_text(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rows = rows[:, ::-1]", "PASS"),
        ("rows[..., 5] = (rows[..., 5] + 1) % 3", "FAIL"),
        ("rows[..., :4] += 40", "FAIL"),
        ("rows[..., 4] *= 0.9", "FAIL"),
        ("rows[..., :4] += 0.5", "FAIL"),
        ("rows[:] = 0", "FAIL"),
        ("rows[0, 0, 4] = np.nan", "FAIL  detections holds values that are not finite."),
        ("rows = rows[:, :-1]", "FAIL  detections has the shape"),
    ],
)
def test_a_wrong_model_fails_and_another_order_does_not(detecting, tmp_path, change, words):
    folder = tmp_path / "packed"
    api.pack(f"{detecting}@fp32", folder, target=ORT)
    break_answers(folder, change)
    ended = run_script(folder, "--check")
    assert (ended.stdout + ended.stderr).startswith(words)
    assert ended.returncode == (0 if words == "PASS" else 1)


@pytest.mark.parametrize("target", [ORT, OV])
def test_detections_are_edgekits_own_bit_for_bit(detecting, digits, tmp_path, target):
    folder = tmp_path / "packed"
    document = api.pack(detecting, folder, target=target)
    pictures = sorted((digits / "images").glob("*.png"))[:3]
    assert same_answers(detecting, document, folder, pictures, tmp_path) > 0


def test_the_rules_of_lists_travel_only_with_lists(detecting, baked_digits, tmp_path):
    for bundle, there in ((detecting, True), (baked_digits, False)):
        folder = tmp_path / bundle.parent.name
        api.pack(f"{bundle}@fp32", folder, target=ORT)
        assert (folder / "alignment.py").exists() == there


def same_answers(bundle, document, folder, pictures, tmp_path) -> int:
    """Compare run.py's answers with edgekit's, bit for bit; return how many values there were."""
    count = 0
    for picture in pictures:
        expected = own_answer(bundle, document, picture)
        found = script_answer(folder, picture, tmp_path / "answer.npz")
        fields = ("probabilities", "boxes", "scores", "classes")
        wanted = [getattr(expected, field) for field in fields if hasattr(expected, field)]
        for one, other in zip(found, wanted, strict=True):
            assert np.array_equal(one, other)
            count += one.size
    return count


# --- the built-in model, whose pictures are grey ---


@pytest.fixture
def baked_digits(baked):
    return baked[1]


@pytest.mark.parametrize("variant", ["fp32", "int8"])
@pytest.mark.parametrize("target", [ORT, OV])
def test_grey_bytes_are_answered_bit_for_bit(baked_digits, digits, tmp_path, target, variant):
    folder = tmp_path / "packed"
    document = api.pack(f"{baked_digits}@{variant}", folder, target=target)
    with np.load(folder / "golden.npz") as golden:
        assert golden["0/in/image"].dtype == np.uint8
    assert run_script(folder, "--check").returncode == 0
    pictures = [next(digits.glob(f"images/*-{index:04d}.png")) for index in (100, 250, 599)]
    tall = tmp_path / "tall.png"
    cv2.imwrite(str(tall), cv2.resize(cv2.imread(str(pictures[0])), (40, 90)))
    assert same_answers(baked_digits, document, folder, [*pictures, tall], tmp_path) == 40


# --- a real detector ---


@pytest.mark.slow
@pytest.mark.realdata
def test_a_real_detector_is_checked_and_answers_as_edgekit_does(realdata, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for picture in sorted((realdata / "coco" / "calib" / "images").glob("*.jpg"))[:16]:
        shutil.copyfile(picture, few / picture.name)
    bundle = tmp_path / "bundle"
    api.deploy(
        str(realdata / "models" / "yolox_nano.pt2"), bundle, targets=(ORT, OV), calibration=few,
        bake=("preprocess", "nms"), time=0.1,
    )  # fmt: skip
    pictures = [*sorted((realdata / "samples").glob("*.jpg"))]
    for document, folder in check_every_entry(bundle, tmp_path / "packed"):
        assert run_script(folder, "--check").returncode == 0
        assert same_answers(bundle, document, folder, pictures, tmp_path) > 0
    break_answers(folder, "rows[..., :4] += 40")
    assert run_script(folder, "--check").returncode == 1

"""The demo whole: real model, real engine, generated scenes and real files."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit import api
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Silent
from edgekit.demo.synthetic import SyntheticSource
from edgekit.pipeline.frame import FrameRequest

FRAMES = 40


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two seconds of generated scenes, 640x360, in H.264."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path_factory.mktemp("video") / "scenes.mp4"
    source = SyntheticSource(FrameRequest(size=(640, 360), rate=20), live=False, frames=FRAMES)
    source.open()
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"crf": "18", "preset": "ultrafast"}
        for _ in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(source.read().pixels, format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class Notes(Silent):
    """A Progress that remembers what it was told."""

    def __init__(self):
        self.sentences = []

    def note(self, message):
        self.sentences.append(message)


def _demo(model, **options):
    return api.demo(str(model), **{"display": "none", "target": "openvino:cpu", **options})


def test_every_frame_of_a_file_is_answered_and_kept_in_every_form(shapes_onnx, video, tmp_path):
    document = _demo(
        shapes_onnx,
        source=str(video),
        every_frame=True,
        save=tmp_path / "boxes.mp4",
        detections=tmp_path / "lines.jsonl",
        stats=tmp_path / "stats.json",
    )
    assert document.frames == document.captured == FRAMES
    assert document.dropped == 0
    assert document.detections > FRAMES
    assert document.frame_age_ms.n == FRAMES
    assert {"read", "preprocess", "inference", "postprocess", "draw", "save"} <= set(
        document.stages
    )
    assert [event.state for event in document.events] == ["connecting", "live", "ended"]
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    assert sum(len(line["detections"]) for line in lines) == document.detections
    stats = json.loads((tmp_path / "stats.json").read_bytes())
    assert stats["frames"] == FRAMES
    assert stats["environment"]["identity"]
    recorded, plain = cv2.VideoCapture(str(tmp_path / "boxes.mp4")), cv2.VideoCapture(str(video))
    assert int(recorded.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    difference = np.abs(recorded.read()[1].astype(int) - plain.read()[1])
    assert (difference.max(axis=2) > 60).mean() > 0.005, "boxes are drawn"
    assert document.saved == str(tmp_path / "boxes.mp4")


def test_the_stream_s_own_shape_is_taken_and_the_model_s_on_request(shapes_onnx, video):
    own = _demo(shapes_onnx, source=str(video), every_frame=True)
    assert own.own_shape
    assert own.shape == (192, 320)
    assert any("192x320" in note for note in own.notes)
    kept = _demo(shapes_onnx, source=str(video), every_frame=True, fit="model")
    assert not kept.own_shape
    assert kept.shape == (320, 320)


def test_it_finds_what_is_in_the_scenes(shapes_onnx, tmp_path):
    document = _demo(
        shapes_onnx,
        source="synthetic",
        size=(1280, 720),
        every_frame=True,
        time=1.5,
        detections=tmp_path / "lines.jsonl",
        confidence=0.4,
    )
    film = SyntheticSource(FrameRequest(size=(1280, 720)), live=False)
    film.open()
    there = found = right = 0
    for line in (tmp_path / "lines.jsonl").read_text().splitlines()[:40]:
        content = json.loads(line)
        truth = film.draw(content["frame"])[1]
        boxes = [(one["class_index"], one["box"]) for one in content["detections"]]
        there += len(truth.boxes)
        found += len(boxes)
        for index, box in zip(truth.classes.tolist(), truth.boxes.tolist(), strict=True):
            right += any(index == each and _iou(box, other) >= 0.5 for each, other in boxes)
    assert document.frames > 10
    assert right >= 0.8 * there
    assert right >= 0.7 * found


def test_live_it_drops_and_never_lags(shapes_onnx):
    document = _demo(shapes_onnx, source="synthetic", rate=500.0, size=(320, 240), time=2.0)
    assert document.dropped > 0
    # A queue would have grown by hundreds of frames; what is in flight is bounded by the lanes.
    assert -1 <= document.captured - document.frames - document.dropped <= 4


def test_a_file_plays_at_its_own_rate(shapes_onnx, video):
    _demo(shapes_onnx, source=str(video), every_frame=True)
    start = time.monotonic()
    document = _demo(shapes_onnx, source=str(video))
    # The pace, not the speed: 39 intervals of 50 ms. A busy machine leaves out what is overdue.
    assert time.monotonic() - start >= 1.9
    assert 2 <= document.captured <= FRAMES


def test_pictures_are_shown_one_after_the_other(shapes_onnx, tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((90, 160, 3), 60 * number, np.uint8))
    document = _demo(shapes_onnx, source=str(tmp_path), every_frame=True)
    assert document.frames == 3


def test_only_the_classes_asked_for_are_written(shapes_onnx, video, tmp_path):
    lines = tmp_path / "lines.jsonl"
    _demo(shapes_onnx, source=str(video), every_frame=True, detections=lines)
    labels = {
        one["label"]
        for line in lines.read_text().splitlines()
        for one in json.loads(line)["detections"]
    }
    chosen = sorted(labels)[0]
    _demo(
        shapes_onnx,
        source=str(video),
        every_frame=True,
        detections=lines,
        classes=[chosen],
        force=True,
    )
    seen = {
        one["label"]
        for line in lines.read_text().splitlines()
        for one in json.loads(line)["detections"]
    }
    assert seen == {chosen}


def test_without_a_display_the_page_takes_the_window_s_place(shapes_onnx, monkeypatch, wait_until):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    notes = Notes()
    answers = {}

    def health():
        url = next((each.split()[-1] for each in notes.sentences if "http://" in each), None)
        with suppress(OSError):
            if url is not None:
                with urllib.request.urlopen(url + "health", timeout=60) as answer:
                    answers["body"] = json.loads(answer.read())
        return answers

    def look():
        wait_until(health, "the page")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look, daemon=True).start()
    api.demo(
        str(shapes_onnx),
        source="synthetic",
        display="window",
        port=0,
        time=300.0,
        target="openvino:cpu",
        progress=notes,
    )
    assert any("The page takes its place." in each for each in notes.sentences)
    assert answers["body"]["state"] == "live"


@pytest.fixture
def started(shapes_onnx, tmp_path, wait_until):
    """Start `edgekit demo` as a child, and wait until it is live."""
    children = []

    def start(*options):
        lines = tmp_path / "lines.jsonl"
        command = [sys.executable, "-m", "edgekit", "demo", str(shapes_onnx)]
        command += ["--source", "synthetic", "--display", "none", "--target", "openvino:cpu"]
        command += ["--detections", str(lines), *options]
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "100"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        children.append(child)

        def live():
            assert child.poll() is None, child.communicate()
            return lines.exists() and lines.stat().st_size

        wait_until(live, "the first frame")
        return child, lines

    yield start
    for child in children:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_with_its_summary(started, tmp_path, number, status):
    stats = tmp_path / "stats.json"
    child, lines = started("--save", str(tmp_path / "film.mp4"), "--stats", str(stats))
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert child.returncode == status, err
    assert "frame age" in out
    assert "Traceback" not in err
    document = json.loads(stats.read_bytes())
    assert document["interrupted"] == (status == 130)
    assert document["frames"] > 0
    frames = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    assert all(earlier < later for earlier, later in pairwise(frames))
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).read()[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "nowhere.mp4"}, "nowhere.mp4 does not exist"),
        ({"source": "0"}, "camera"),
        ({"source": "synthetic", "classes": ["heaart"]}, "no class 'heaart'"),
        ({"source": "synthetic", "confidence": 1.5}, "between 0 and 1"),
        ({"source": "synthetic", "size": (10, 10)}, "at least 160x120"),
        ({"source": "synthetic", "save": Path("film.avi")}, r"\.mp4 or \.mkv"),
        ({"source": "synthetic", "target": "openvino:gpu"}, "gpu"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_runs(shapes_onnx, options, sentence):
    with pytest.raises((BadInput, Unavailable), match=sentence):
        _demo(shapes_onnx, time=5.0, **options)


def test_a_file_that_is_no_video_is_one_sentence(shapes_onnx, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film" * 100)
    with pytest.raises(BadInput, match=r"film\.mp4"):
        _demo(shapes_onnx, source=str(path))


@pytest.fixture
def nothing_made(monkeypatch):
    """Fails where anything is compiled."""

    def made(*_, **__):
        raise AssertionError("something was compiled")

    monkeypatch.setattr("edgekit.jobs.steps.engine.compile_graph", made)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"options": {"labels": "[a, b]"}}, r"shapes\.onnx.*names 2 classes.*answers 20"),
        ({"options": {"decode": "end2end"}}, r"shapes\.onnx: The head 'end2end'"),
        ({"options": {"decode": "yolov9"}}, "no detection head"),
        ({"classes": ["heaart"]}, "no class 'heaart'"),
        ({"confidence": 1.5}, "between 0 and 1"),
        ({"target": "openvino:gpu"}, "gpu"),
        ({"target": "openvino:cpu", "compute": "fp8"}, "fp8"),
    ],
)
@pytest.mark.parametrize("source", ["synthetic", "dead"])
def test_what_does_not_fit_the_model_is_said_before_anything_is_made_or_waited_for(
    shapes_onnx, nothing_made, monkeypatch, tcp_server, options, sentence, source
):
    # A source that says nothing for an hour: what the model refuses is said first.
    monkeypatch.setattr("edgekit.jobs.demo._FIRST_OPEN_S", 3600)
    given = source if source == "synthetic" else f"tcp://127.0.0.1:{tcp_server()}"
    # Of this test alone, so that no engine of another is found.
    more = {"fit": "model", "threads": 1}
    with pytest.raises((BadInput, Unavailable), match=sentence):
        _demo(shapes_onnx, source=given, **{**more, **options})


def test_a_port_in_use_is_said_before_anything_is_made(shapes_onnx, nothing_made):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"Port {port} .* in use"):
            _demo(shapes_onnx, source="synthetic", display="web", port=port, fit="model")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_a_source_that_says_nothing_is_given_up_when_the_time_is_over(
    shapes_onnx, monkeypatch, tcp_server, scheme
):
    # An hour is what it may take without --time.
    monkeypatch.setattr("edgekit.jobs.demo._FIRST_OPEN_S", 3600)
    source = f"{scheme}://127.0.0.1:{tcp_server()}/x"
    with pytest.raises(Unavailable, match=r"gave no frame within 1\.5 s"):
        _demo(shapes_onnx, source=source, time=1.5)


def test_a_camera_that_nobody_reaches_is_given_up(shapes_onnx, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    monkeypatch.setattr("edgekit.jobs.demo._FIRST_OPEN_S", 1.0)
    with pytest.raises(Unavailable, match="gave no frame within 1 s") as caught:
        _demo(shapes_onnx, source=f"rtsp://user:secret@127.0.0.1:{port}/cam")
    assert "refused" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_files_that_exist_are_kept(shapes_onnx, tmp_path):
    for option in ("save", "detections", "stats"):
        path = tmp_path / {"save": "film.mp4", "detections": "a.jsonl", "stats": "a.json"}[option]
        path.write_text("mine")
        with pytest.raises(BadInput, match="--force"):
            _demo(shapes_onnx, source="synthetic", time=1.0, **{option: path})
        assert path.read_text() == "mine"


def test_a_model_without_a_picture_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy"
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:]
    )
    path = tmp_path / "relu.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    with pytest.raises(BadInput, match="nothing to show on a picture"):
        _demo(path, source="synthetic", time=1.0)


def _iou(one, other):
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = min(one[2], other[2]), min(one[3], other[3])
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)

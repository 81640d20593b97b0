"""What edgekit shows on a picture is what Ultralytics' own prediction shows, box by box."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics_nets import SIZE, checkpoint, tasks

import edgekit
from edgekit.core.card import Preprocess
from edgekit.tasks.preprocess import Preprocessor

PEER = Path(__file__).with_name("ultralytics_peer.py")


def prepare(folder, root, name, pictures):
    """Write a checkpoint that sees something on these pictures, and what its process needs."""
    import torch

    lay = Preprocessor(Preprocess(size=SIZE, resize="letterbox", scale=1 / 255))
    seen = torch.from_numpy(np.concatenate([lay(picture)[0] for picture in pictures]))
    checkpoint(folder / "best.pt", name, seen=seen)
    np.savez(folder / "pictures.npz", **{str(at): each for at, each in enumerate(pictures)})
    path = root / "tools/peers/make_ultralytics_env.py"
    spec = importlib.util.spec_from_file_location("make_ultralytics_env", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.stand_in(folder, torch.__version__)


def compare(folder, root, name, pictures, nms):
    """Predict with both programs; return the number of boxes of each picture."""
    tasks()
    pytest.importorskip("onnxruntime")
    prepare(folder, root, name, pictures)
    command = [sys.executable, PEER, folder, *SIZE, nms]
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = []
    with (
        np.load(folder / "rows.npz") as rows,
        edgekit.load(folder / "best.onnx", target="onnxruntime:cpu") as predictor,
    ):
        assert predictor.card.postprocess.decode == ("end2end" if nms is False else "yolov8")
        for at, picture in enumerate(pictures):
            found = predictor.predict(picture)
            same(found, rows[str(at)])
            counts.append(len(found))
    return counts


def same(found, rows):
    """Compare a prediction with Ultralytics' rows; rows of one score may change places."""
    assert len(found) == len(rows)
    boxes = np.array([one.box for one in found]).reshape(-1, 4)
    gaps = np.abs(boxes[:, None] - rows[None, :, :4]).max(axis=2)
    scores, classes = ([getattr(one, key) for one in found] for key in ("score", "class_index"))
    gaps[np.array(classes)[:, None] != rows[None, :, 5]] = np.inf
    gaps[np.abs(np.array(scores)[:, None] - rows[None, :, 4]) > 1e-4] = np.inf
    for gap in gaps:  # a row is taken once
        assert gap.min() < 1  # pixels of the picture
        gaps[:, gap.argmin()] = np.inf


def drawn():
    """Pictures of sizes that no letterbox divides evenly."""
    random = np.random.default_rng(0)
    return [
        cv2.resize(random.integers(0, 256, (12, 20, 3), np.uint8), size)
        for size in ((317, 211), (121, 400), (160, 96))
    ]


@pytest.mark.parametrize(
    ("name", "nms"),
    [
        ("yolo11n.yaml", None),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("yolo26n.yaml", False),
                ("yolo26n.yaml", None),
                ("yolov10n.yaml", False),
                ("yolov5n.yaml", None),
                ("yolov8n.yaml", None),
            ]
        ),
    ],
)
def test_drawn_pictures_show_the_same_boxes(tmp_path, root, name, nms):
    # Red where a box that is above the threshold in several classes is shown several times, where
    # boxes reach out of the image, and where both sides of a letterbox are scaled by one ratio.
    counts = compare(tmp_path, root, name, drawn(), nms)
    assert max(counts) >= 5


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "nms"), [("yolo11n.yaml", None), ("yolo26n.yaml", False)])
def test_a_real_video_shows_the_same_boxes(tmp_path, root, realdata, name, nms):
    video = cv2.VideoCapture(str(realdata / "video/one-by-one-person-detection.mp4"))
    frames = []
    for number in range(300):
        done, frame = video.read()
        assert done
        if number % 30 == 10:
            frames.append(frame)
    video.release()
    counts = compare(tmp_path, root, name, frames, nms)
    assert len(set(counts)) > 1
    assert max(counts) >= 5

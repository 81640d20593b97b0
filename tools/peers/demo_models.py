"""Make the models of `make bench-demo`, with the Python of the peer's environment.

    build/peers/ultralytics/bin/python tools/peers/demo_models.py VIDEO [-o build/peers/models]

`yolo11n.yaml` with random weights (seed 0) is written as a `.pt` and exported by ultralytics' own
exporter to ONNX and OpenVINO, at 640x640, at 416x416 and at the video's own shape, and to an ONNX
with dynamic height and width.

Random weights find nothing, and a frame without boxes costs less to decode than a real one. So the
statistics of the batch normalisation are taken from the frames that are played, which gives every
layer signals of the usual size; the weights of the last class convolutions are scaled so that the
logits spread by 1; and one number is added to all of them, so that in the median frame TARGET boxes
come through at the default thresholds (confidence 0.25, IoU 0.7). That is in the weights: every
program that is given the graph sees the same scores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

NAME = "yolo11n"
TARGET = 15
STRIDE = 32
SIDE = 640
SMALL = 416
# Frames at the video's beginning that the scores are scaled on: those that are played.
PLAYED = 120
_SAMPLES = 24


def own_shape(width: int, height: int, side: int = SIDE) -> tuple[int, int]:
    """The least (H, W), in multiples of the stride, that holds the video at the side's scale."""
    scale = side / max(width, height)
    high, wide = (-(-round(edge * scale) // STRIDE) * STRIDE for edge in (height, width))
    return high, wide


def letterbox(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fit a picture into (H, W), centred, on grey 114.

    Returns:
        (3, H, W) float32, RGB, 0 to 1.
    """
    height, width = image.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    inner = round(width * scale), round(height * scale)
    canvas = np.full((*shape, 3), 114, np.uint8)
    top, left = (shape[0] - inner[1]) // 2, (shape[1] - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner)
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1), np.float32) / 255


def sample_frames(video: Path) -> list[np.ndarray]:
    """Take a few of the frames that are played."""
    capture = cv2.VideoCapture(str(video))
    frames = []
    for number in range(PLAYED):
        done, frame = capture.read()
        if not done:
            break
        if number % (PLAYED // _SAMPLES) == 0:
            frames.append(frame)
    capture.release()
    if not frames:
        raise SystemExit(f"{video} has no frame that OpenCV can read.")
    return frames


def spread(network: Any, frames: Sequence[np.ndarray]) -> None:
    """Take the statistics of a network's layers from frames, and scale its class logits to 1."""
    import torch

    batch = _batch(frames, (SIDE, SIDE))
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            # A plain mean over all that is seen.
            norm.momentum = None
        network.train()
        for part in batch.split(4):
            network(part)
        network.eval()
        last = [branch[-1] for branch in network.model[-1].cv3]
        seen: list[torch.Tensor] = []
        hooks = [one.register_forward_hook(lambda _m, _i, out: seen.append(out)) for one in last]
        for part in batch.split(4):
            network(part)
        for hook in hooks:
            hook.remove()
        factor = 1 / float(torch.cat([one.flatten() for one in seen]).std())
        for one in last:
            one.weight.mul_(factor)
            one.bias.mul_(factor)


def lift(network: Any, frames: Sequence[np.ndarray], shape: tuple[int, int]) -> float:
    """Add the number to a network's class logits that lets TARGET boxes through at a shape.

    Returns:
        The boxes in the median frame.
    """
    import torch
    from ultralytics.utils.nms import non_max_suppression

    with torch.no_grad():
        raw = torch.cat([network(part)[0] for part in _batch(frames, shape).split(4)])
        logits = torch.logit(raw[:, 4:].double(), eps=1e-12)

        def boxes(added: float) -> float:
            scored = torch.cat([raw[:, :4], torch.sigmoid(logits + added).float()], 1)
            return float(np.median([len(one) for one in non_max_suppression(scored, 0.25, 0.7)]))

        # Nobody passes at the lower end; a tenth of all anchors does at the upper.
        best = logits.amax(1).flatten()
        low, high = -float(best.max()) - 3, -float(best.quantile(0.9)) - 1
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if boxes(middle) < TARGET else (low, middle)
        for branch in network.model[-1].cv3:
            branch[-1].bias.add_(high)
    return boxes(high)


def _batch(frames: Sequence[np.ndarray], shape: tuple[int, int]) -> Any:
    """Return (N, 3, H, W) float32."""
    import torch

    return torch.from_numpy(np.stack([letterbox(one, shape) for one in frames]))


def export(
    checkpoint: Path, folder: Path, shape: tuple[int, int], engine: str, *, dynamic: bool = False
) -> None:
    """Export by ultralytics' own exporter, and give the file its shape's name."""
    from ultralytics import YOLO

    given = {"format": engine, "imgsz": list(shape), "dynamic": dynamic, "verbose": False}
    made = Path(YOLO(checkpoint).export(**given))
    name = f"{NAME}-dynamic" if dynamic else f"{NAME}-{shape[0]}x{shape[1]}"
    # ultralytics knows an OpenVINO model by the end of its folder's name.
    target = folder / (f"{name}.onnx" if engine == "onnx" else f"{name}_openvino_model")
    if target.is_dir():
        shutil.rmtree(target)
    made.rename(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the models and write what was done beside them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("-o", "--output-path", type=Path, required=True, metavar="DIR")
    given = parser.parse_args(arguments)
    folder: Path = given.output_path.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    frames = sample_frames(given.video)

    import torch
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(f"{NAME}.yaml", verbose=False)
    height, width = frames[0].shape[:2]
    own = own_shape(width, height)
    spread(model.model, frames)
    boxes = {}
    # At 416 the same weights would let hundreds through: a number of its own for each side.
    for name, shapes in ((NAME, [(SIDE, SIDE), own]), (f"{NAME}-{SMALL}", [(SMALL, SMALL)])):
        boxes[name] = lift(model.model, frames, shapes[0])
        checkpoint = folder / f"{name}.pt"
        model.save(checkpoint)
        for shape in dict.fromkeys(shapes):
            for engine in ("onnx", "openvino"):
                export(checkpoint, folder, shape, engine)
    # For edgekit, which takes the stream's own shape of it.
    export(folder / f"{NAME}.pt", folder, (SIDE, SIDE), "onnx", dynamic=True)
    facts = {"video": [width, height], "own": list(own), "boxes": boxes[NAME]}
    (folder / "facts.json").write_text(json.dumps(facts))
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())

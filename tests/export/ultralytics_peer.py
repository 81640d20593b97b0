"""Ultralytics' own export and prediction, in a process of its own.

    python ultralytics_peer.py FOLDER HEIGHT WIDTH NMS

FOLDER holds best.pt, pictures.npz and a torchvision that stands in for the real one. Writes
best.onnx and rows.npz: for each picture (N, 6) of x1, y1, x2, y2, score, class.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    folder, size = Path(sys.argv[1]), [int(side) for side in sys.argv[2:4]]
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(folder))
    sys.path.insert(0, str(folder))
    from ultralytics import YOLO

    made = YOLO(folder / "best.pt").export(
        format="onnx", imgsz=size, nms=ast.literal_eval(sys.argv[4]), verbose=False
    )
    network = YOLO(made)
    with np.load(folder / "pictures.npz") as pictures:
        rows = {
            name: network.predict(picture, verbose=False, save=False)[0].boxes.data.numpy()
            for name, picture in pictures.items()
        }
    np.savez(folder / "rows.npz", **rows)

"""Make the peer's environment: ultralytics beside the engines that edgekit uses.

    python tools/peers/make_ultralytics_env.py [--standalone] [-o build/peers/ultralytics]

ultralytics (AGPL-3.0) stays out of edgekit's own environment and out of the repository: it gets a
virtual environment of its own. That one looks into the environment of the Python that runs this
script for torch, onnxruntime, openvino, OpenCV and numpy, so both programs run byte for byte the
same engines. `--standalone` installs all of them anew, in the same versions.

torchvision's wheels on the package index are CUDA builds, which the CPU build of torch refuses, and
all that prediction needs of them is one operator. So a stand-in is written: an empty distribution
of that name, the operator's schemas, and a body for `torchvision::nms` in OpenCV's C++, which on
the few dozen boxes of a frame costs what torchvision's own does. Nothing else is changed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path

ULTRALYTICS = "8.4.190"
ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "build" / "peers" / "ultralytics"
# Of ultralytics' requirements, those that it imports to predict and to export.
SHARED = ("numpy", "opencv-python", "pillow", "pyyaml", "requests", "psutil", "matplotlib",
          "onnx", "onnxslim", "onnxscript", "onnxruntime", "openvino", "av")  # fmt: skip
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"

STAND_IN = '''"""Stands in for torchvision: the one operator that prediction uses."""

import numpy as np
import torch

__version__ = "{version}"
_library = torch.library.Library("torchvision", "DEF")
_library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.define(
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
    "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor"
)


def _nms(boxes, scores, iou_threshold):
    import cv2

    corners = boxes.numpy()
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sizes, scores.numpy(), 0.0, iou_threshold)
    return torch.from_numpy(np.asarray(kept, dtype=np.int64).reshape(-1))


_library.impl("nms", _nms, "CPU")
nms = torch.ops.torchvision.nms


class ops:
    nms = nms
'''


def stand_in(packages: Path, torch_version: str) -> str:
    """Write the torchvision that is none; return the version that goes with this torch."""
    # torch 2.n goes with torchvision 0.(n + 15).
    version = f"0.{int(torch_version.split('.')[1]) + 15}.0"
    module = packages / "torchvision"
    module.mkdir(exist_ok=True)
    (module / "__init__.py").write_text(STAND_IN.replace("{version}", version))
    info = packages / f"torchvision-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: torchvision\nVersion: {version}\n"
        "Summary: A stand-in with the operator that prediction needs\n"
    )
    return version


def make(folder: Path, *, standalone: bool) -> Path:
    """Make the environment.

    Args:
        folder: Made anew.
        standalone: Install the engines too, in the versions of this environment.

    Returns:
        Its Python.
    """
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / "bin" / "python"
    packages = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    )  # fmt: skip
    torch_version = importlib.metadata.version("torch")
    if standalone:
        plain = torch_version.partition("+")[0]
        try:
            _pip(python, f"torch=={torch_version}")
        except subprocess.CalledProcessError:
            _pip(python, f"torch=={plain}", "--extra-index-url", TORCH_INDEX)
        _pip(python, *(f"{name}=={importlib.metadata.version(name)}" for name in SHARED))
    else:
        (packages / "engines.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _pip(python, "--no-deps", f"ultralytics=={ULTRALYTICS}")
    stand_in(packages, torch_version)
    return python


def _pip(python: Path, *arguments: str) -> None:
    """Install into another environment."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # Not from inside the repository, where pip would leave its files.
    subprocess.run([*command, *arguments], check=True, cwd=python.parent)


def check(python: Path) -> None:
    """Say what the environment holds; fail where it does not import."""
    program = (
        "import importlib.metadata as m, torchvision, torch, ultralytics\n"
        "boxes = torch.tensor([[0., 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])\n"
        "kept = torchvision.ops.nms(boxes, torch.tensor([.8, .9, .7]), .5)\n"
        "assert kept.tolist() == [1, 2], kept\n"
        "for name in ('ultralytics', 'torch', 'onnxruntime', 'openvino', 'opencv-python'):\n"
        "    print(f'{name} {m.version(name)}')\n"
    )
    config = python.parent.parent / "config"
    config.mkdir(exist_ok=True)
    settings = {**os.environ, "YOLO_CONFIG_DIR": str(config), "YOLO_OFFLINE": "true"}
    subprocess.run([python, "-c", program], check=True, env=settings, cwd=config)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make it and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--standalone", action="store_true", help="install the engines anew")
    parser.add_argument("-o", "--output-path", type=Path, default=DEFAULT, metavar="DIR")
    given = parser.parse_args(arguments)
    python = make(given.output_path.absolute(), standalone=given.standalone)
    check(python)
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())

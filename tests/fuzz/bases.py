"""Sound files to damage: made once into a folder, by edgekit itself and by a few lines of torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

__all__ = ["CARD", "ULTRALYTICS", "command_line", "make_bases"]

CARD = {
    "schema": "edgekit.card/1",
    "task": "detection",
    "labels": ["cat", "dog"],
    "inputs": {"images": {"dtype": "float32", "layout": "NCHW", "shape": ["batch", 3, 32, 32]}},
    "outputs": {"output0": {"shape": ["batch", 6, 21]}},
    "preprocess": {
        "resize": "letterbox",
        "size": [32, 32],
        "anchor": "top-left",
        "pad": 114,
        "colour": "RGB",
        "scale": 0.00392156862745098,
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
    },
    "postprocess": {"decode": "yolov8", "confidence": 0.25, "iou": 0.7, "max_detections": 100},
    "provenance": {"weights": "none"},
}
ULTRALYTICS = {
    "description": "Ultralytics YOLOv8n model trained on coco8.yaml",
    "author": "Ultralytics",
    "version": "8.4.190",
    "task": "detect",
    "stride": 32,
    "batch": 1,
    "imgsz": [32, 32],
    "names": {0: "cat", 1: "dog"},
    "args": {"batch": 1, "half": False, "nms": False},
    "channels": 3,
    "end2end": False,
    "kpt_shape": [17, 3],
}

# Written in ONNX's own text form.
_GRAPHS = {
    "yolo": """<ir_version: 8, opset_import: ["": 17]>
        g (float[batch,3,32,32] images) => (float[batch,6,21] output0)
        <int64[3] s = {-1, 6, 21}> {
        m = ReduceMean<axes=[2,3], keepdims=0>(images)
        c = Concat<axis=1>(m, m)
        y = MatMul(c, w)
        output0 = Reshape(y, s) }""",
    "bodies": """<ir_version: 8, opset_import: ["": 17]>
        g (float[n,4] x) => (float[n,4] y) <int64 three = {3}, bool yes = {1}> {
        sum = ReduceSum<keepdims=0>(x)
        zero = Constant<value_float=0.0>()
        more = Greater(sum, zero)
        a = If<then_branch = t () => (float[n,4] p) { p = Mul(x, w) },
               else_branch = e () => (float[n,4] q) { q = Add(x, w) }>(more)
        y = Loop<body = b (int64 i, bool go, float[n,4] v) => (bool on, float[n,4] o) {
               on = Identity(go)
               o = Add(v, w) }>(three, yes, a) }""",
    "functions": """<ir_version: 10, opset_import: ["": 18, "my": 1]>
        g (float[n,4] x, int64[k] i) => (float[n,4] y, string[1] s) <string[1] s0 = {"a"}> {
        y = my.twice(x)
        s = Identity(s0) }
        <domain: "my", opset_import: ["": 18]> twice (v) => (o) { o = Add(v, v) }""",
}


def command_line(*arguments: object) -> list[str]:
    """The real command line of this environment; the current folder is not on its path."""
    return [str(Path(sys.executable).parent / "edgekit"), *map(str, arguments)]


def _run(base: Path, *arguments: object) -> None:
    subprocess.run(command_line(*arguments, "--quiet"), cwd=base, check=True, capture_output=True)


def _small_data(base: Path) -> None:
    """Sixteen images of the digits, half of them to calibrate on; two of them with boxes."""
    rows = (base / "digits/labels.csv").read_text().splitlines()
    kept = [row for row in rows if "/calib-000" in row or "/eval-010" in row]
    (base / "data/images").mkdir(parents=True)
    (base / "data/labels.csv").write_text("\n".join([rows[0], *kept, ""]))
    for row in kept:
        name = row.split(",")[0]
        shutil.copy(base / "digits" / name, base / "data" / name)
    shutil.copytree(base / "data/images", base / "coco/images")
    names = sorted(path.name for path in (base / "coco/images").iterdir())
    image, box = {"width": 8, "height": 8}, {"bbox": [1, 1, 4, 5], "area": 20, "iscrowd": 0}
    coco = {
        "images": [{"id": n, "file_name": name, **image} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": n % 2, **box} for n in range(len(names))
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    (base / "coco/instances.json").write_text(json.dumps(coco))
    shutil.copytree(base / "coco/images", base / "yolo/images")
    (base / "yolo/labels").mkdir()
    boxes = "0 0.5 0.5 0.4 0.4\n1 0.2 0.2 0.1 0.1\n"
    for name in names:
        (base / "yolo/labels" / f"{name[:-4]}.txt").write_text(boxes)
    split = "path: .\ntrain: images\nval: images\nnames: {0: cat, 1: dog}\n"
    (base / "yolo/data.yaml").write_text(split)
    shutil.rmtree(base / "digits")


def _graphs(base: Path) -> None:
    import numpy as np
    import onnx
    from onnx import numpy_helper, parser

    random = np.random.default_rng(0)
    weights = {"w": (6, 126)}, {"w": (4,)}, {}
    for (name, written), shapes in zip(_GRAPHS.items(), weights, strict=True):
        model = parser.parse_model(written)
        for tensor, shape in shapes.items():
            array = random.normal(size=shape).astype(np.float32)
            model.graph.initializer.append(numpy_helper.from_array(array, tensor))
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, base / f"{name}.onnx")
    model = onnx.load(base / "yolo.onnx")
    for key, value in ULTRALYTICS.items():
        model.metadata_props.add(key=key, value=str(value))
    onnx.save(model, base / "ultralytics.onnx")
    outside = {"save_as_external_data": True, "location": "external.bin", "size_threshold": 64}
    onnx.save(onnx.load(base / "digits.onnx"), base / "external.onnx", **outside)
    np.savez(base / "arrays.npz", image=random.normal(size=(4, 1, 32, 32)).astype(np.float32))


def _torch(base: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from edgekit.export.builtin.lenet5 import lenet5

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return torch.relu(self.conv(x))

    batch = torch.export.Dim("batch", min=1, max=64)
    example = (torch.zeros(2, 3, 16, 16),)
    program = torch.export.export(Net().eval(), example, dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, base / "net.pt2")
    weights = lenet5().state_dict()
    torch.save(weights, base / "net.pth")
    save_file(weights, base / "net.safetensors")


def _keys(base: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, ssh = Ed25519PrivateKey.generate(), form.PrivateFormat.OpenSSH
    (base / "key").write_bytes(key.private_bytes(form.Encoding.PEM, ssh, form.NoEncryption()))
    public = key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    (base / "key.pub").write_bytes(public)


def _bomb(base: Path) -> None:
    """1.5 GB of zeros, as 1.5 MB of deflate."""
    deflate, zeros = zlib.compressobj(1, zlib.DEFLATED, -15), bytes(1 << 24)
    parts = [deflate.compress(zeros) for _ in range(96)]
    (base / "bomb").write_bytes(b"".join(parts) + deflate.flush())


def make_bases(base: Path) -> None:
    """Fill an empty folder."""
    base.mkdir(parents=True)
    _run(base, "data", "digits", "-o", "digits")
    _small_data(base)
    _run(base, "export", "edgekit:digits", "-o", "digits.onnx")
    _graphs(base)
    _torch(base)
    _bomb(base)
    target, time = ("--target", "onnxruntime:cpu"), ("--time", 0.2)
    rest = ("--precision", "fp32", "--precision", "int8", "--compute", "fp32", "-o", "b.bundle")
    _run(base, "deploy", "edgekit:digits", "--data", "data", *target, *time, *rest)
    shutil.copy(next((base / "b.bundle/quantization").iterdir()), base / "decisions.json")
    shutil.copy(base / "b.bundle/variants/int8-u8s8/main.onnx", base / "int8.onnx")
    _run(base, "compile", "digits.onnx", *target, "-o", "engines")
    for name in ("bench", "bench2"):
        _run(base, "bench", "digits.onnx", *target, *time, "-o", name)
    _keys(base)
    _run(base, "deploy", "--config", "b.bundle/recipe.yaml", "--sign", "key", "-o", "signed.bundle")


if __name__ == "__main__":
    make_bases(Path(sys.argv[1]))

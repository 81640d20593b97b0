"""`.npz` files of arrays, to calibrate on and to score."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import arrays

from kinds import TARGET, copied


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx")
    (work / "raw.yaml").write_text("schema: edgekit.card/1\ntask: raw\n")
    (work / "d").mkdir()
    data = arrays(r, (base / "arrays.npz").read_bytes(), (base / "bomb").read_bytes())
    (work / "d" / r.choice(["a.npz", "main.npz"])).write_bytes(data)
    card = ["--card", "raw.yaml"]
    calls = [
        ["quantize", "digits.onnx", "--calibration", "d", "-o", "out.onnx", *card],
        ["quantize", "digits.onnx", "--data", "d", "-o", "out.onnx", *card],
        ["export", "digits.onnx", "--data", "d", "-o", "out.onnx", *card],
        ["eval", "digits.onnx", "--data", "d", *TARGET],
        ["deploy", "digits.onnx", "--data", "d", *TARGET, "-o", "out", "--dry-run", *card],
    ]
    return r.choice(calls)

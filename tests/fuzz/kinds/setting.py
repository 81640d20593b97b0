"""`--set KEY=VALUE`, `--input NAME=SHAPE`, and other options that hold a small language."""

from __future__ import annotations

from pathlib import Path
from random import Random

from bases import CARD
from mutate import TEXTS, YAML_RAW, in_bytes

from kinds import TARGET, copied, on_model

KEYS = ["confidence", "iou", "size", "labels", "mean", "task", "decode", "inputs", ""]
SHAPES = ["batch,1,32,32", "batch", "-1,1,32,32", "9" * 20 + ",1", "a+b*(c", "batch,1,h//0,w", ""]
SHAPES += ["1" * 5000, "n-n,1,32,32", "batch,1,1e9,32", ",,,", "batch,1,2**9**9,32", "(" * 999]


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx")
    value = r.choice([*YAML_RAW, *TEXTS, str(r.choice([*CARD.values()]))])
    if r.random() < 0.2:
        value = in_bytes(r, value.encode(errors="replace"), 2).decode(errors="replace")
    value = value[:100_000].replace("\0", "")
    if r.random() < 0.65:
        return on_model(r, base, work, "digits.onnx", "--set", f"{r.choice(KEYS)}={value}")
    shape = r.choice([*SHAPES, value])
    option = f"{r.choice(['image', 'image', '', 'x'])}={shape}"
    bench = ["bench", "digits.onnx", "--no-store", "--time", "0.05"]
    calls = [
        ["export", "digits.onnx", "-o", "out.onnx", "--input", option],
        ["deploy", "digits.onnx", *TARGET, "-o", "out", "--dry-run", "--input", option],
        [*bench, *TARGET, "--shapes", option],
        [*bench, *TARGET, "--sweep", f"batch={value}"],
        [*bench, "--target", value],
        ["compile", "digits.onnx", "--target", "onnxruntime:ep=X", "--provider-option", value],
    ]
    return r.choice(calls)

"""Recipes of `deploy --config`, planned, and now and then carried out."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import text

from kinds import copied

RECIPE = {
    "edgekit": "0.1.0",
    "source": "digits.onnx",
    "output-path": "out",
    "target": ["onnxruntime:cpu"],
    "data": "data",
    "calibration": "data",
    "precision": ["fp32", "int8"],
    "compute": ["fp32"],
    "input": {"image": ["batch", 1, 32, 32]},
    "set": ["confidence=0.4"],
    "arch": "evil.py:make",
    "card": "c.yaml",
    "max-drop": 1.0,
    "min-agreement": 0.85,
    "max-shift": 0.05,
    "time": 0.05,
    "threads": 1,
    "seed": 0,
    "opset": 17,
    "golden": "data",
    "sign": "key",
    "bake": ["preprocess"],
    "trust-code": False,
    "require-verified": False,
}
ALWAYS = ("source", "output-path", "target")


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx", "data", "key")
    (work / "c.yaml").write_bytes((base / "b.bundle/card.yaml").read_bytes())
    kept = {key: value for key, value in RECIPE.items() if key in ALWAYS or r.random() < 0.35}
    (work / "r.yaml").write_bytes(text(r, kept, "yaml"))
    dry = r.random() < 0.96
    return ["deploy", "--config", "r.yaml", "-o", "out", *(["--dry-run"] if dry else [])]

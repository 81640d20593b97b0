"""Cards in YAML: beside the model or named."""

from __future__ import annotations

from pathlib import Path
from random import Random

import yaml
from bases import CARD
from mutate import text

from kinds import copied, on_model


def make(r: Random, base: Path, work: Path) -> list[str]:
    model = r.choice(["digits.onnx", "yolo.onnx"])
    copied(base, work, model)
    card = CARD
    if model == "digits.onnx":
        card = yaml.safe_load((base / "b.bundle/card.yaml").read_bytes())
    if r.random() < 0.1:
        card = {**card, "labels": "labels.txt"}
        labels = [b"cat\ndog\n", b"\xff\xfe", b"\0" * 99, b"a" * 10**6, b""]
        (work / "labels.txt").write_bytes(r.choice(labels))
    if r.random() < 0.5:
        (work / f"{model[:-5]}.card.yaml").write_bytes(text(r, card, "yaml"))
        return on_model(r, base, work, model)
    (work / "c.yaml").write_bytes(text(r, card, "yaml"))
    return on_model(r, base, work, model, "--card", "c.yaml")

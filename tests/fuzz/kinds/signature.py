"""Signatures and keys."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import PATHS, in_bytes

from kinds import copied


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "signed.bundle", "key.pub", "key", "digits.onnx")
    manifest = "signed.bundle/manifest.json"
    name = r.choice([f"{manifest}.sig", "key.pub", "key", manifest])
    data = (work / name).read_bytes()
    others = [b"", data * 9, b"\0" * 64, b"a" * 10**6, *[in_bytes(r, data)] * 6]
    (work / name).write_bytes(r.choice(others))
    key = r.choice([*["key.pub"] * 9, "key", *[path for path in PATHS if "\0" not in path]])
    if name == "key" and r.random() < 0.5:
        return ["deploy", "digits.onnx", "--target", "null:cpu", "--sign", "key", "-o", "out"]
    return ["verify", "signed.bundle", "--target", "onnxruntime:cpu", "--require-signature", key]

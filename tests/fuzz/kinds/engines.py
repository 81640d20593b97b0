"""Folders of engines."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import damaged, in_bytes

from kinds import TARGET, copied


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "engines", "data")
    files = sorted(path for path in (work / "engines").rglob("*") if path.is_file())
    path = r.choice([path for path in files if path.suffix == ".json" or r.random() < 0.3])
    data = path.read_bytes()
    # The engine itself is native code: who trusts it trusts its bytes.
    path.write_bytes(in_bytes(r, data) if path.suffix == ".onnx" else damaged(r, path.name, data))
    trust = ["--trust-engine"] if r.random() < 0.4 and path.suffix != ".onnx" else []
    calls = [
        ["inspect", "engines"],
        ["predict", "engines", "data/images/eval-0100.png", "-o", "out", *trust],
        ["eval", "engines", "--data", "data", *trust],
        ["bench", "engines", *TARGET, "--time", "0.05", "--no-store", *trust],
    ]
    return r.choice(calls)

"""Bundles: a file of one changed, and often its checksums with it."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import damaged

from kinds import TARGET, copied, reseal


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "b.bundle")
    files = sorted(path for path in (work / "b.bundle").rglob("*") if path.is_file())
    small = [path for path in files if path.suffix in (".json", ".yaml")]
    path = r.choice(small if r.random() < 0.7 else files)
    if r.random() < 0.3:
        path = work / "b.bundle/manifest.json"
    data = damaged(r, path.name, path.read_bytes(), (base / "bomb").read_bytes())
    path.write_bytes(data)
    if r.random() < 0.7:
        reseal(work / "b.bundle")
    copied(base, work, "data")
    calls = [
        (5, ["verify", "b.bundle", *TARGET]),
        (5, ["inspect", "b.bundle"]),
        (2, ["inspect", f"b.bundle@{r.choice(['fp32', 'int8', 'x', '', '../x'])}"]),
        (1, ["inspect", "--diff", "b.bundle@fp32", "b.bundle@int8"]),
        (3, ["report", "b.bundle", "-o", "out.html"]),
        (1, ["pack", "b.bundle", *TARGET, "-o", "out"]),
        (1, ["compile", "b.bundle@int8", *TARGET]),
        (1, ["predict", "b.bundle", "data/images", *TARGET]),
        (1, ["eval", "b.bundle@fp32", "--data", "data", *TARGET]),
        (1, ["bench", "b.bundle@fp32", *TARGET, "--time", "0.05", "--no-store"]),
        (2, ["deploy", "--config", "b.bundle/recipe.yaml", "-o", "out", "--dry-run"]),
        (1, ["results", "export", "b.bundle"]),
        (1, ["quantize", "b.bundle@fp32", "--data", "data", "-o", "out.onnx"]),
    ]
    return r.choices([call for _, call in calls], [weight for weight, _ in calls])[0]

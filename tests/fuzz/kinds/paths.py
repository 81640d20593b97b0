"""Paths that are no file, no folder, or never end, in the place of every input."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import PATHS

from kinds import TARGET, copied

CALLS = [
    ["inspect", "@"],
    ["inspect", "@.onnx"],
    ["inspect", "--diff", "@", "digits.onnx"],
    ["export", "@", "-o", "out.onnx"],
    ["export", "digits.onnx", "--card", "@", "-o", "out.onnx"],
    ["export", "digits.onnx", "--data", "@", "-o", "out.onnx"],
    ["export", "@.pt2", "-o", "out.onnx"],
    ["export", "@.pth", "--arch", "edgekit.export.builtin.lenet5:lenet5", "-o", "out.onnx"],
    ["export", "@.safetensors", "--arch", "edgekit.export.builtin.lenet5:lenet5", "-o", "out.onnx"],
    ["quantize", "digits.onnx", "--calibration", "@", "-o", "out.onnx"],
    ["quantize", "digits.onnx", "--from", "@", "-o", "out.onnx"],
    ["compile", "@", *TARGET],
    ["eval", "digits.onnx", "--data", "@", *TARGET],
    ["predict", "digits.onnx", "@", *TARGET],
    ["verify", "@"],
    ["verify", "@", "--require-signature", "@"],
    ["compare", "@", "bench"],
    ["report", "@", "-o", "out.html"],
    ["results", "show", "@"],
    ["results", "import", "@"],
    ["pack", "@", *TARGET, "-o", "out"],
    ["deploy", "--config", "@", "--dry-run"],
    ["deploy", "@", *TARGET, "-o", "out", "--dry-run"],
    ["deploy", "digits.onnx", *TARGET, "--data", "@", "-o", "out", "--dry-run"],
    ["deploy", "digits.onnx", *TARGET, "--golden", "@", "--sign", "@", "-o", "out", "--dry-run"],
]


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx", "bench")
    suffix = r.choice(["onnx", "pt2", "pth", "safetensors"])
    targets = {"zero": "/dev/zero", "fifo": "fifo.txt", "tty": "/dev/tty", "self": f"self.{suffix}"}
    for name, target in targets.items():
        (work / f"{name}.{suffix}").symlink_to(target)
    (work / f"folder.{suffix}").mkdir()
    links = [f"{name}.{suffix}" for name in ("zero", "fifo", "tty", "self", "folder", "lost")]
    path = r.choice([*[path for path in PATHS if "\0" not in path and path != "/"], *links, *links])
    call = r.choice(CALLS)
    stem = path.removesuffix(f".{suffix}")
    return [part.replace("@.", f"{stem}.").replace("@", path) for part in call]

"""Images: damaged, of a size that they do not hold, of another form."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from random import Random

from mutate import in_bytes

from kinds import TARGET, copied


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx")
    data = (base / "data/images/eval-0100.png").read_bytes()
    if r.random() < 0.4:
        sizes = [(0, 0), (2**31 - 1, 2**31 - 1), (60_000, 60_000), (1, 2**20), (8, 9)]
        head = b"IHDR" + struct.pack(">II", *r.choice(sizes)) + data[24:29]
        data = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    else:
        data = in_bytes(r, data)
    name = r.choice(["i.png", "i.jpg", "i.bmp", "i.webp", "i.tiff", "i.gif"])
    (work / "images").mkdir()
    (work / "images" / name).write_bytes(data)
    calls = [
        ["predict", "digits.onnx", f"images/{name}", *TARGET, "-o", "out"],
        ["predict", "digits.onnx", "images", *TARGET],
        ["quantize", "digits.onnx", "--calibration", "images", "-o", "out.onnx"],
    ]
    return r.choice(calls)

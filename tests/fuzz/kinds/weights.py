"""`.pth` and `.safetensors`: the pickle, the archive, the header."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random

from mutate import archive, in_bytes, members, text

ARCH = ["--arch", "edgekit.export.builtin.lenet5:lenet5", "--input", "image=batch,1,32,32"]
CALL = b"cos\nsystem\n(X\x0e\x00\x00\x00touch EXECUTEDtR"


def make(r: Random, base: Path, work: Path) -> list[str]:
    if r.random() < 0.5:
        name, data = "m.safetensors", (base / "net.safetensors").read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        header, body = data[8 : 8 + size], data[8 + size :]
        header = text(r, json.loads(header), "json")
        size = r.choice([len(header)] * 6 + [0, 2**63, len(header) + 9, 2**31])
        data = struct.pack("<Q", size) + header + body
        data = in_bytes(r, data) if r.random() < 0.2 else data
    else:
        name, entries = "m.pth", members((base / "net.pth").read_bytes())
        at = next(n for n, (path, _) in enumerate(entries) if path.endswith("data.pkl"))
        path, content = entries[at]
        if r.random() < 0.6:
            content = content[:2] + CALL + content[2:] if r.random() < 0.3 else in_bytes(r, content)
            entries[at] = (path, content)
        data = archive(r, entries, (base / "bomb").read_bytes())
    (work / name).write_bytes(data)
    return ["export", name, "-o", "out.onnx", *(ARCH if r.random() < 0.9 else [])]

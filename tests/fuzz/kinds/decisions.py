"""quantization.json of an earlier calibration."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from mutate import damaged

from kinds import copied


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "digits.onnx")
    data = (base / "decisions.json").read_bytes()
    if r.random() < 0.4:  # a list of another length, a number of another kind
        tree = json.loads(data)
        records = [at for part in tree.values() if isinstance(part, list) for at in part]
        lists = [value for at in records if isinstance(at, dict) for value in at.values()]
        for values in r.sample([value for value in lists if value and isinstance(value, list)], 2):
            others = [values[:-1], [*values, 1.0], [], [None], ["1"], [-1e308] * len(values)]
            values[:] = r.choice(others)
        data = json.dumps(tree).encode()
    else:
        data = damaged(r, "q.json", data)
    (work / "q.json").write_bytes(data)
    dialect = r.choice(["u8s8", "s8s8"])
    return ["quantize", "digits.onnx", "--from", "q.json", "--dialect", dialect, "-o", "out.onnx"]

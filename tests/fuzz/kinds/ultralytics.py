"""ONNX files with metadata of Ultralytics, or with a card of edgekit's, of hostile values."""

from __future__ import annotations

from pathlib import Path
from random import Random

from bases import CARD, ULTRALYTICS
from mutate import CODE, JSON_RAW, TEXTS, in_bytes, in_tree, text

from kinds import on_model

RAW = ["(" * 20_000, "[" * 200, "9**9**9", "-" * 10_000 + "1", CODE, "{0: 'a', 0: 'b'}", "'" * 9]
RAW += ["1" + "0" * 6000, "b'x'", "{[]: 1}", "{{}}", "...", "None", "'a' 'b'", "[*'a']", "f'{1}'"]


def make(r: Random, base: Path, work: Path) -> list[str]:
    import onnx

    model = onnx.load(base / "yolo.onnx")
    if r.random() < 0.3:
        written = text(r, CARD, "json").decode(errors="replace")
        model.metadata_props.add(key="edgekit.card", value=written)
    else:
        properties = {key: value for key, value in ULTRALYTICS.items() if r.random() < 0.97}
        tree, marks = in_tree(r, properties, RAW + JSON_RAW)
        if not isinstance(tree, dict):
            tree = {"names": tree, "stride": 32, "task": "detect"}
        for key, value in tree.items():
            value = value if isinstance(value, str) else repr(value)
            for mark, raw in marks.items():
                value = value.replace(f"'{mark}'", raw).replace(mark, raw)
            if r.random() < 0.03:
                value = r.choice(TEXTS)
            model.metadata_props.add(key=_plain(str(key)), value=_plain(value))
    data = model.SerializeToString()
    (work / "m.onnx").write_bytes(in_bytes(r, data, 1) if r.random() < 0.05 else data)
    return on_model(r, base, work, "m.onnx")


def _plain(value: str) -> str:
    return value.encode(errors="replace").decode()

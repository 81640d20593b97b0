"""ONNX files: fields of the message, external data, bytes."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import PATHS, damaged

from kinds import copied, on_model

BASES = ["digits", "digits", "int8", "yolo", "bodies", "bodies", "functions", "external"]


def make(r: Random, base: Path, work: Path) -> list[str]:
    name = r.choice(BASES)
    data = (base / f"{name}.onnx").read_bytes()
    chance = r.random()
    if name == "external":
        copied(base, work, "external.bin")
        data = _elsewhere(r, data)
    elif chance < 0.08:
        data = _deep(r, data)
    else:
        data = damaged(r, "m.onnx", data)
    (work / "m.onnx").write_bytes(data)
    return on_model(r, base, work, "m.onnx")


def _elsewhere(r: Random, data: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    for entry in r.choice(model.graph.initializer[:4]).external_data:
        if r.random() < 0.6:
            places = [path for path in PATHS if "\udc80" not in path]
            numbers = ["-1", "9" * 30, "1e3", "", "4", str(2**63)]
            entry.value = r.choice(places if entry.key == "location" else numbers)
    return model.SerializeToString()


def _deep(r: Random, data: bytes) -> bytes:
    """Bodies inside of bodies, or a chain of very many nodes."""
    import onnx
    from onnx import helper

    model = onnx.load_from_string(data)
    name, kind = model.graph.output[0].name, model.graph.output[0]
    if r.random() < 0.5:
        for n in range(r.choice([500, 5000])):
            model.graph.node.append(helper.make_node("Identity", [name], [f"{name}_{n}"]))
            name = f"{name}_{n}"
        model.graph.output[0].name = name
        return model.SerializeToString()
    body = helper.make_graph([helper.make_node("Identity", [name], ["deep"])], "b", [], [kind])
    for _ in range(r.choice([5, 20, 40])):
        node = helper.make_node("If", ["deeper"], ["deep"], then_branch=body, else_branch=body)
        body = helper.make_graph([node], "b", [], [kind]) if body.ByteSize() < 1 << 20 else body
    model.graph.initializer.append(helper.make_tensor("deeper", 9, [], [True]))
    node = helper.make_node("If", ["deeper"], ["deep"], then_branch=body, else_branch=body)
    model.graph.node.append(node)
    return model.SerializeToString()

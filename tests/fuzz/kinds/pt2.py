"""`.pt2`: its archive, the program's JSON, its weights and its examples."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from random import Random

from mutate import CODE, archive, damaged, in_bytes, in_tree, members, text


def make(r: Random, base: Path, work: Path) -> list[str]:
    entries = members((base / "net.pt2").read_bytes())
    chance = r.random()
    if chance < 0.5:  # the program, and sometimes another JSON of it
        name = "models/model.json" if chance < 0.4 else "config.json"
        at = r.choice([n for n, (path, _) in enumerate(entries) if path.endswith(name)])
        path, content = entries[at]
        content = _code(r, content) if r.random() < 0.5 else text(r, json.loads(content), "json")
        entries[at] = (path, content)
    elif chance < 0.65:
        at = r.randrange(len(entries))
        entries[at] = (entries[at][0], in_bytes(r, entries[at][1]))
    if 0.5 < chance < 0.9:
        data = archive(r, entries, (base / "bomb").read_bytes())
    elif chance >= 0.9:
        data = damaged(r, "m.pt2", (base / "net.pt2").read_bytes())
    else:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as whole:
            for path, content in entries:
                whole.writestr(path, content)
        data = written.getvalue()
    (work / "m.pt2").write_bytes(data)
    return ["export", "m.pt2", "-o", "out.onnx"]


def _code(r: Random, content: bytes) -> bytes:
    """Put Python where the program has texts: guards, expressions, names, operators."""
    tree = json.loads(content)
    what = r.randrange(4)
    if what == 0:
        tree["guards_code"] = [r.choice([CODE, f"{CODE} == 0", "1/0", "L['x'].shape[0] < 9"])]
    elif what == 1:
        for at, key in _texts(tree, "expr_str", "as_expr"):
            at[key] = r.choice([CODE, f"Symbol({CODE!r})", "Integer(10)**10**10", "(" * 999])
    elif what == 2:
        operators = ["torch.ops.aten.from_file.default", "os.system", "builtins.eval"]
        operators += ["torch.ops.higher_order.cond", "torch.ops.aten.add.Tensor", "torch.load"]
        for at, key in _texts(tree, "target"):
            if r.random() < 0.5:
                at[key] = r.choice(operators)
    else:
        tree, _ = in_tree(r, tree, ["0"])
    return json.dumps(tree).encode()


def _texts(tree: object, *names: str) -> list[tuple[dict, str]]:
    found, todo = [], [tree]
    while todo:
        at = todo.pop()
        if isinstance(at, dict):
            found += [(at, key) for key in at if key in names and isinstance(at[key], str)]
            todo += at.values()
        elif isinstance(at, list):
            todo += at
    return found

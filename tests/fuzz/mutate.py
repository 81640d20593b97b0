"""Damage for bytes, trees, protobuf messages, archives and arrays; all of it drawn from one Random.

Hypothesis shrinks and stores examples of its own tests; it neither replays one input by a seed nor
survives a native crash in the process that draws. So the draws are plain `random.Random`.
"""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from random import Random
from typing import Any

import yaml

__all__ = ["archive", "arrays", "damaged", "in_bytes", "in_message", "in_tree", "members", "text"]

# Python that leaves a trace wherever it is evaluated.
CODE = "__import__('os').system('touch EXECUTED')"
NUMBERS: list[Any] = [0, -1, 1, 2, 255, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, 2**63, -(2**63)]
NUMBERS += [10**30, 0.5, -1.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")]
PATHS = ["../canary.txt", "link.txt", "fifo.txt", "folder", "/etc/hostname", "/dev/zero", ".", ""]
PATHS += ["/", "a\0b", "loop", "x" * 5000, "~root/x", "/proc/self/environ", "\udc80"]
TEXTS = ["\x1b[31mred\x07", "\u202egnp.exe", "é💥\u2028", "a" * 100_000, "-1", "nan", "1e999"]
TEXTS += ["batch", "float32", "?", "None", "[1, 2]", "{}", "9**9**9**9", "(" * 5000, CODE, *PATHS]
VALUES: list[Any] = [None, True, False, *NUMBERS, *TEXTS, [], {}, [[]], [None], [0] * 3000]
VALUES += [{"a": {"b": [1]}}, {"": 0}, [1, "a", None], [[1, 2], [3]], ["x"] * 300]

# What stands in a document as it is, in the place of a value.
JSON_RAW = ["NaN", "-Infinity", "1e999", "-0", "1" + "0" * 6000, "[" * 20_000, "", "tru"]
JSON_RAW += ['"\\ud800"', '"\\u0000"', "1.5.2", "[" * 3000 + "]" * 3000]
JSON_RAW += ['{"a":' * 3000 + "1" + "}" * 3000]
_BOMB = "".join(f"k{n}: &x{n} [{','.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 11))
YAML_RAW = [*JSON_RAW, "2001-99-99", "2001-01-01", "!!timestamp x", "!!binary x", "!!int x"]
YAML_RAW += ["!!float y", "!!set {a}", "!!omap [a]", "&a [*a]", "*nope", "{[1]: 2}"]
YAML_RAW += ["yes", "1:30:45"]
YAML_RAW += [f"!!python/object/apply:eval [{CODE!r}]", "!evil x", "'", "|2\n x", "{<<: 3}", "? ["]
YAML_HEADS = [f"a: &x0 [1, 1]\n{_BOMB}", "%YAML 9.9\n---\n", "--- a\n--- b\n", "\ufeff", "\t\n"]

MAGIC = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 8, b"\0" * 8, b"PK\x03\x04", b"PK\x05\x06"]
MAGIC += [struct.pack("<Q", 2**63), struct.pack("<I", 2**31 - 1), b"\xf0\x28", b'"', b"[" * 99]


def _few(r: Random, most: int) -> int:
    """How many changes: one more often than not, so that what is behind the door is reached."""
    return 1 if r.random() < 0.6 else r.randint(1, most)


def in_bytes(r: Random, data: bytes, most: int = 4) -> bytes:
    """Flip, cut, splice, double or overwrite some of it."""
    new = bytearray(data)
    for _ in range(_few(r, most)):
        at, n = r.randrange(len(new) + 1), r.choice([1, 2, 4, 8, 64, 1000])
        match r.randrange(7):
            case 0 if new:
                new[at % len(new)] ^= 1 << r.randrange(8)
            case 1:
                del new[at : at + n]
            case 2:
                del new[at:]
            case 3:
                new[at:at] = new[(other := r.randrange(len(new) + 1)) : other + n]
            case 4:
                new[at : at + len(magic)] = (magic := r.choice(MAGIC))
            case 5:
                new[at : at + n] = r.randbytes(min(n, len(new) - at))
            case _:
                new[at:at] = r.choice(MAGIC)
    return bytes(new)


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found, todo = [], [tree]
    while todo:
        at = todo.pop()
        items = at.items() if isinstance(at, dict) else enumerate(at)
        for key, value in items:
            found.append((at, key))
            if isinstance(value, dict | list):
                todo.append(value)
    return found


def in_tree(r: Random, tree: Any, raw: list[str], most: int = 3) -> tuple[Any, dict[str, str]]:
    """Change values, keys and structure; return the tree and what to write as it is, by mark."""
    tree, marks = copy.deepcopy(tree), {}
    for _ in range(_few(r, most)):
        nodes = _nodes(tree)
        if not nodes:
            return r.choice(VALUES), marks
        at, key = r.choice(nodes)
        match r.randrange(9):
            case 0:
                del at[key]
            case 1 if isinstance(at, list):
                at.insert(key, copy.deepcopy(at[key]))
            case 2 if isinstance(at, dict):
                at[r.choice([*TEXTS, "x", str(key) + "s", "é"])] = at.pop(key)
            case 3:
                other, its = r.choice(nodes)
                at[key] = copy.deepcopy(other[its])
            case 4:
                mark = f"@RAW{len(marks)}@"
                at[key], marks[mark] = mark, r.choice(raw)
            case 5 if isinstance(at[key], str):
                was = at[key]
                at[key] = r.choice([was.upper(), was + "\x1b", was * 3000, was[:-1]])
            case 6 if type(at[key]) in (int, float):
                at[key] = r.choice([-at[key], at[key] * 2**31, str(at[key]), float(at[key]) + 0.5])
            case 7:
                at[key] = [at[key]] if r.random() < 0.5 else {"a": at[key]}
            case _:
                at[key] = r.choice(NUMBERS if type(at[key]) in (int, float) else VALUES)
    return tree, marks


def text(r: Random, tree: Any, form: str) -> bytes:
    """Write a changed tree as "json" or "yaml", and sometimes break the text itself."""
    raw = JSON_RAW if form == "json" else YAML_RAW
    tree, marks = in_tree(r, tree, raw)
    if form == "json" or r.random() < 0.3:
        written = json.dumps(tree, indent=r.choice([None, 1]))
    else:
        written = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)
    for mark, value in marks.items():
        written = written.replace(f'"{mark}"', value).replace(f"'{mark}'", value)
    chance = r.random()
    if chance < 0.1 and '{"' in written:  # a key that stands there twice
        places = [at for at in range(len(written)) if written.startswith('{"', at)]
        at = r.choice(places)
        key = written[at + 2 :].partition('"')[0]
        written = f'{written[: at + 1]}"{key}": {r.choice(raw)},{written[at + 1 :]}'
    elif chance < 0.2 and form == "yaml":
        written = r.choice(YAML_HEADS) + written
    data = written.encode(errors="surrogateescape")
    return in_bytes(r, data, 2) if r.random() < 0.15 else data


def _messages(message: Any) -> list[Any]:
    found, todo = [], [message]
    while todo and len(found) < 3000:
        at = todo.pop()
        found.append(at)
        for field, value in at.ListFields():
            if field.message_type is not None:
                todo.extend(value if _many(field) else [value])
    return found


def _many(field: Any) -> bool:
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == 3


def _scalar(r: Random, field: Any, names: list[str]) -> Any:
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return r.choice([b"", b"\0", b"\xff" * 7, r.randbytes(64), CODE.encode()])
        return r.choice(names if r.random() < 0.6 and names else TEXTS)
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return r.choice([0.0, -1.0, float("nan"), float("inf"), 1e30])
    if kind == field.CPPTYPE_ENUM:
        return r.choice([value.number for value in field.enum_type.values])
    if kind == field.CPPTYPE_BOOL:
        return r.random() < 0.5
    top = 2**31 if kind in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 2**63
    return r.choice([-1, 0, 1, 2, 3, 7, 16, 17, 99, 65_536, 10**6, top - 1, -top])


def in_message(r: Random, message: Any, most: int = 3) -> None:
    """Change fields by their descriptors: enums, sizes, names (cycles, twins), what is there."""
    for _ in range(_few(r, most)):
        everything = _messages(message)
        kind = r.choice(sorted({m.DESCRIPTOR.full_name for m in everything}))
        same = [m for m in everything if m.DESCRIPTOR.full_name == kind]
        at = r.choice(same)
        names = [m.name for m in everything if "name" in m.DESCRIPTOR.fields_by_name and m.name]
        field = r.choice(at.DESCRIPTOR.fields)
        try:
            _in_field(r, at, field, names, same)
        except (ValueError, TypeError):  # a value that the field does not hold
            at.ClearField(field.name)


def _in_field(r: Random, at: Any, field: Any, names: list[str], same: list[Any]) -> None:
    if not _many(field):
        if r.random() < 0.15:
            at.ClearField(field.name)
        elif field.message_type is not None:
            getattr(at, field.name).SetInParent()
            in_message(r, getattr(at, field.name), 1)
        else:
            setattr(at, field.name, _scalar(r, field, names))
        return
    items = getattr(at, field.name)
    what = r.randrange(5)
    if what == 0 and len(items):
        del items[r.randrange(len(items))]
    elif what == 1 and len(items):
        again = copy.deepcopy(r.choice(list(items)))
        items.append(again)
    elif what == 2 and len(items):
        kept = [copy.deepcopy(item) for item in items]
        r.shuffle(kept)
        del items[:]
        items.extend(kept)
    elif field.message_type is not None:
        donors = [item for other in same for item in getattr(other, field.name)]
        new = items.add()
        if donors:
            # A donor may hold the place that it is copied to, and protobuf crashes on that.
            new.CopyFrom(copy.deepcopy(r.choice(donors)))
        in_message(r, new, 1)
    elif what == 3 and len(items):
        items[r.randrange(len(items))] = _scalar(r, field, names)
    else:
        items.append(_scalar(r, field, names))


def members(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        return [(name, whole.read(name)) for name in whole.namelist()]


def archive(r: Random, entries: list[tuple[str, bytes]], bomb: bytes = b"") -> bytes:
    """Write a zip whose directory lies: twins, flags, sizes, methods, names, broken deflate."""
    entries = list(entries)
    victim = r.randrange(len(entries)) if entries else -1
    name, content = entries[victim]
    what = r.choice(
        ["twin", "twin", "name", "lost", "flag", "size", "method", "deflate", "bomb", "bytes"]
    )
    if what == "twin":
        entries.insert(r.choice([0, len(entries)]), (name, in_bytes(r, content)))
    elif what == "name":
        others = [
            f"../{name}",
            f"/{name}",
            f"{name}\0.x",
            "",
            "x/" * 3000,
            name.upper(),
            f"{name}/",
        ]
        entries[victim] = (r.choice(others), content)
    elif what == "lost":
        del entries[victim]
    body, directory = bytearray(), bytearray()
    for number, (name, content) in enumerate(entries):
        method, flags, data = 0, 0, content
        size, packed, crc = len(content), len(content), zlib.crc32(content)
        if number == victim:
            if what in ("deflate", "bomb"):
                deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
                method, data = 8, deflate.compress(content) + deflate.flush()
                data = bomb if what == "bomb" and bomb else in_bytes(r, data)
                packed, size = len(data), r.choice([size, 16, 1 << 31, 4 << 30]) & 0xFFFFFFFF
            elif what == "flag":
                flags = r.choice([1, 8, 0x40, 0x2000, 0xFFFF])
            elif what == "size":
                size, packed = r.choice([(0xFFFFFFFF, packed), (size, 0xFFFFFFF0), (0, 0), (7, 7)])
            elif what == "method":
                method = r.choice([8, 9, 12, 14, 93, 99])
        raw = name.encode(errors="surrogateescape")[:65_535]
        stored = (flags, method, 0, 0x21, crc, packed, size, len(raw), 0)
        head = struct.pack("<HHHHIIIHH", *stored)
        directory += b"PK\x01\x02" + struct.pack("<HH", 20, 20) + head
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + raw
        body += b"PK\x03\x04" + struct.pack("<H", 20) + head + raw + data
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    whole = bytes(body) + bytes(directory) + b"PK\x05\x06" + end
    return in_bytes(r, whole) if what == "bytes" else whole


DTYPES = ["'<f4'", "'|O'", "'<U1000000000'", "'<M8'", "'|V0'", "[('a','<f4')]", "'x'", "None", CODE]
SHAPES = ["(2147483648, 1, 32, 32)", "(0,)", "()", "(-1, 2)", "(1e9,)", "'a'", "(" * 200, CODE]


def arrays(r: Random, data: bytes, bomb: bytes = b"") -> bytes:
    """Change an .npz file: its archive, or the header or bytes of one of its arrays."""
    entries = members(data)
    if r.random() < 0.4:
        return archive(r, entries, bomb)
    at = r.randrange(len(entries))
    name, content = entries[at]
    if r.random() < 0.7:
        fields = {"descr": "'<f4'", "fortran_order": "False", "shape": "(4, 1, 32, 32)"}
        for key in r.sample(sorted(fields), r.randint(1, 2)):
            fields[key] = r.choice({"descr": DTYPES, "shape": SHAPES}.get(key, ["1", "None", CODE]))
        header = "{" + ", ".join(f"'{key}': {value}" for key, value in fields.items()) + "}\n"
        start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
        content = start + content[128:]
    else:
        content = in_bytes(r, content)
    entries[at] = (name, content)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as whole:
        for name, content in entries:
            whole.writestr(name, content)
    return written.getvalue()


def damaged(r: Random, name: str, data: bytes, bomb: bytes = b"") -> bytes:
    """Change a file by what its name says that it is."""
    suffix = name.rpartition(".")[2]
    if r.random() < 0.15:
        return in_bytes(r, data)
    if suffix in ("json", "yaml", "yml"):
        return text(r, yaml.safe_load(data), "json" if suffix == "json" else "yaml")
    if suffix == "onnx":
        import onnx

        model = onnx.load_from_string(data)
        in_message(r, model)
        data = model.SerializeToString()
        return in_bytes(r, data, 1) if r.random() < 0.1 else data
    if suffix == "npz":
        return arrays(r, data, bomb)
    return in_bytes(r, data)

"""Labelled data: labels.csv, COCO, YOLO, folders of classes and of masks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import yaml
from bases import CARD
from mutate import NUMBERS, PATHS, TEXTS, damaged, in_bytes

from kinds import TARGET, copied

LINES = ["0 0.5 0.5 0.4 0.4", "-1 0 0 0 0", "0 nan 1 1 1", "99 1 1 1 1", "0 0.1", "a b c d e", "\0"]
CELLS = [*PATHS, *map(str, NUMBERS), *TEXTS, '"', "role", "1.0", " 3"]


def make(r: Random, base: Path, work: Path) -> list[str]:
    form = r.choice(["data", "coco", "yolo"])
    copied(base, work, form, "digits.onnx", "yolo.onnx")
    (work / "yolo.card.yaml").write_text(yaml.safe_dump(CARD))
    folder = work / form
    if form == "data":
        (folder / "labels.csv").write_bytes(_csv(r, (folder / "labels.csv").read_text()))
    elif r.random() < 0.7:
        path = folder / ("instances.json" if form == "coco" else "data.yaml")
        path.write_bytes(damaged(r, path.name, path.read_bytes()))
    elif form == "yolo":
        path = r.choice(sorted((folder / "labels").iterdir()))
        path.write_text("\n".join(r.choices(LINES, k=3)))
    if r.random() < 0.2:
        _file(r, r.choice(sorted((folder / "images").iterdir())))
    if r.random() < 0.05:
        shutil.rmtree(folder / "images")
    model = "digits.onnx" if form == "data" else "yolo.onnx"
    calls = [
        ["eval", model, "--data", form, *TARGET],
        ["eval", model, "--data", form, *TARGET],
        ["quantize", model, "--data", form, "-o", "out.onnx"],
        ["quantize", model, "--calibration", form, "-o", "out.onnx"],
        ["export", model, "--data", form, "-o", "out.onnx"],
        ["deploy", model, "--data", form, *TARGET, "-o", "out", "--dry-run"],
    ]
    return r.choice(calls)


def _csv(r: Random, written: str) -> bytes:
    rows = [row.split(",") for row in written.split()]
    for _ in range(r.randint(1, 3)):
        row = r.choice(rows)
        at = r.randrange(len(row))
        match r.randrange(4):
            case 0:
                del row[at]
                row or row.append("")
            case 1:
                row.insert(at, row[at])
            case 2:
                rows.append(list(row))
            case _:
                row[at] = r.choice(CELLS)
    data = "\n".join(map(",".join, rows)).encode(errors="surrogateescape")
    return in_bytes(r, data) if r.random() < 0.3 else data


def _file(r: Random, path: Path) -> None:
    """Something else in the place of an image."""
    data = path.read_bytes()
    path.unlink()
    match r.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to(r.choice(["/dev/zero", "../../../canary.txt", path.name]))
        case 2:
            path.mkdir()
        case _:
            path.write_bytes(in_bytes(r, data))

"""Kinds of input: a module of this folder each, and one line of the table.

A kind's `make(r, base, work)` writes an input into the empty folder `work`, from sound files in
`base`, and returns the arguments of the command that reads it. Whatever a command may write is
called out… or lies in the folder of that name.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

__all__ = ["KINDS", "Make", "copied", "kind", "on_model", "reseal"]

Make = Callable[[Random, Path, Path], list[str]]

# Name to its share of all inputs.
KINDS = {
    "onnx": 20,
    "ultralytics": 8,
    "pt2": 7,
    "weights": 5,
    "card": 12,
    "setting": 5,
    "recipe": 10,
    "dataset": 10,
    "arrays": 4,
    "image": 3,
    "bundle": 10,
    "signature": 2,
    "decisions": 4,
    "results": 8,
    "engines": 5,
    "paths": 6,
    "stream": 2,
}

TARGET = ["--target", "onnxruntime:cpu"]


def kind(name: str) -> Make:
    """The maker of a kind."""
    return importlib.import_module(f"kinds.{name}").make


def copied(base: Path, work: Path, *names: str) -> None:
    """Copy files and folders of the base into the work folder."""
    for name in names:
        if (base / name).is_dir():
            shutil.copytree(base / name, work / name)
        else:
            shutil.copy(base / name, work / name)


def on_model(r: Random, base: Path, work: Path, model: str, *more: str) -> list[str]:
    """A command that reads a model, cheap ones more often; `more` are options of cards."""
    verbs = {
        "inspect": 0 if more else 10,
        "export": 3,
        "compile": 0 if more else 3,
        "predict": 3,
        "eval": 2,
        "quantize": 2,
        "fp16": 1,
        "dry": 2,
        "bench": 0 if more else 1,
        "debug": 0 if more else 0.5,
        "deploy": 0.3,
    }
    verb = r.choices([*verbs], [*verbs.values()])[0]
    if verb in ("predict", "eval", "quantize", "deploy"):
        copied(base, work, "data")
    calls = {
        "inspect": ["inspect", model],
        "export": ["export", model, "-o", "out.onnx"],
        "compile": ["compile", model, *TARGET],
        "predict": ["predict", model, "data/images/eval-0100.png", *TARGET, "-o", "out"],
        "eval": ["eval", model, "--data", "data", *TARGET],
        "quantize": ["quantize", model, "--calibration", "data", "-o", "out.onnx"],
        "fp16": ["quantize", model, "--precision", "fp16", "-o", "out.onnx"],
        "dry": ["deploy", model, *TARGET, "-o", "out", "--dry-run"],
        "bench": ["bench", model, *TARGET, "--time", "0.05", "--no-store"],
        "debug": ["debug", "parity", model, *TARGET],
        "deploy": ["deploy", model, "--data", "data", *TARGET, "--time", "0.05", "-o", "out"],
    }
    return [*calls[verb], *more]


def reseal(bundle: Path) -> None:
    """Give a changed bundle the checksums of what is in it, so that more than they read it."""
    path = bundle / "manifest.json"
    try:
        manifest = json.loads(path.read_bytes())
        for name in manifest["files"]:
            if (bundle / name).is_file():
                data = (bundle / name).read_bytes()
                manifest["files"][name]["sha256"] = hashlib.sha256(data).hexdigest()
                manifest["files"][name]["size_bytes"] = len(data)
        manifest["seal"] = "0" * 64
        written = json.dumps(manifest, indent=2).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError):
        return  # the manifest itself is what was damaged
    seal = hashlib.sha256(written).hexdigest().encode()
    path.write_bytes(re.sub(rb'"seal": "0{64}"', b'"seal": "' + seal + b'"', written))

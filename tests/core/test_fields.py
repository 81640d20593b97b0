"""Numbers of a file are checked where it is read: no negative count, no type that nothing holds."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.core.details import BoxAnswer, ClassScores
from edgekit.core.documents import BenchEntry
from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.manifest import ManifestFile
from edgekit.core.measurement import Latency
from edgekit.core.runtime import Compiled, CompileOptions, TensorInfo

ENTRY = {
    "target": "null:cpu",
    "variant": "fp32",
    "compute": "fp32",
    "executed_precision": "fp32",
    "scenario": "single-stream",
    "boundary": "latency.host",
    "valid": True,
    "reasons": [],
    "n": 3,
}
COMPILED = {
    "target": "null:cpu",
    "engine": "engine.json",
    "graph_sha256": "",
    "engine_sha256": "",
    "runtime_version": "1",
    "device": "d",
    "options": {},
    "compile_ns": 1,
}
BOXES = {"type": "boxes", "boxes": [[0, 0, 1, 1]], "scores": [0.5], "classes": [0]}
SCORES = {"name": "AP", "unit": "objects", "index": [0, 1], "n": [3, 4], "value": [0.5, 0.25]}
TENSOR = {"name": "x", "dtype": "float32", "shape": ["batch", 3]}


def read(content, kind):
    return parse_json(msgspec.json.encode(content), "r.json", kind)


@pytest.mark.parametrize(
    ("kind", "content", "changes"),
    [
        (ManifestFile, {"sha256": "", "size_bytes": 1}, {"size_bytes": -1}),
        (Latency, {"boundary": "latency.host", "n": 1}, {"n": -1}),
        (Latency, {"boundary": "latency.host", "n": 1}, {"p50_ms": -0.5}),
        (BenchEntry, ENTRY, {"n": -1}),
        (BenchEntry, ENTRY, {"batch": 0}),
        (BenchEntry, ENTRY, {"energy_j": -1.0}),
        (BenchEntry, ENTRY, {"missing": {"p99": -1}}),
        (TensorInfo, TENSOR, {"dtype": "flaot32"}),
        (TensorInfo, TENSOR, {"dtype": "f4,i4"}),
        (TensorInfo, TENSOR, {"shape": [-1]}),
        (TensorInfo, TENSOR, {"shape": [2**40]}),
        (CompileOptions, {}, {"threads": 0}),
        (CompileOptions, {}, {"hint": "speed"}),
        (Compiled, COMPILED, {"memory": {"weights_bytes": -1}}),
        (BoxAnswer, BOXES, {"scores": []}),
        (BoxAnswer, BOXES, {"classes": [-1]}),
        (BoxAnswer, BOXES, {"scores": [1.5]}),
        (ClassScores, SCORES, {"value": [0.5]}),
        (ClassScores, SCORES, {"reference": [0.5]}),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else value.__name__,
)
def test_what_no_program_would_write_is_refused(kind, content, changes):
    read(content, kind)
    with pytest.raises(BadInput, match=r"^r\.json is damaged"):
        read({**content, **changes}, kind)

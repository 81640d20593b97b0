"""An output onto a disk that is full or read-only: one sentence, nothing half-written or lost."""

from __future__ import annotations

import os
import subprocess

import pytest

from edgekit import api
from edgekit.core.errors import BadInput

ORT = "onnxruntime:cpu"

# Name of the output, and what writes it of a bundle, an ONNX file and a data set.
WRITERS = {
    "data": ("d", lambda _b, _m, _d, out, force: api.data("digits", out, force=force)),
    "quantize": (
        "q.onnx",
        lambda _b, model, _d, out, force: api.quantize(model, out, precision="fp16", force=force),
    ),
    "compile": ("e", lambda _b, m, _d, out, force: api.compile(m, out, target=ORT, force=force)),
    "predict": ("p", lambda b, _m, d, out, force: api.predict(b, d / "images", out, force=force)),
    "report": ("r.html", lambda b, _m, _d, out, force: api.report(b, out, force=force)),
    "pack": ("k", lambda b, _m, _d, out, force: api.pack(b, out, target=ORT, force=force)),
    "bench": (
        "b",
        lambda _b, m, _d, out, force: api.bench(
            m, targets=ORT, time=0.1, output=out, store=False, force=force
        ),
    ),
}


@pytest.fixture
def written(deployed, digits_onnx, digits):
    """A function that writes an output of a verb: to a place, over what is there or not."""

    def write(verb, disk, *, force=False):
        name, writer = WRITERS[verb]
        writer(str(deployed[1]), str(digits_onnx), digits, disk / name, force)
        return disk / name

    return write


def fill(disk):
    with (disk / "filler").open("wb") as file, pytest.raises(OSError, match="space"):
        while True:
            os.write(file.fileno(), b"x" * 4096)


def contents(disk):
    return {path.relative_to(disk): path.read_bytes() for path in disk.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", WRITERS)
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(verb, written, small_disk):
    disk = small_disk("8m")
    written(verb, disk)
    fill(disk)
    before = contents(disk)
    with pytest.raises(BadInput) as caught:
        written(verb, disk, force=True)
    assert str(disk) in caught.value.message
    assert "no space" in caught.value.message.lower()
    assert "\n" not in str(caught.value)
    assert contents(disk) == before


@pytest.mark.parametrize("verb", WRITERS)
def test_a_read_only_disk_is_one_sentence_and_nothing_is_lost(verb, written, small_disk, tool):
    disk = small_disk("8m")
    written(verb, disk)
    before = contents(disk)
    subprocess.run([tool("mount"), "-o", "remount,ro", disk], check=True)
    with pytest.raises(BadInput) as caught:
        written(verb, disk, force=True)
    assert str(disk) in caught.value.message
    assert "read-only" in caught.value.message.lower()
    assert contents(disk) == before

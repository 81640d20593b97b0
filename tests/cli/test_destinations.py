"""Every option that names something to be written refuses what would cost the user a file.

A new option that takes a path stands in READS or in WRITES, or the first test is red; one in WRITES
that does not make an edgekit.core.destination.Destination before its work turns the others red.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.cli.catalogue import COMMANDS, TOOLS
from edgekit.cli.group import edgekit
from edgekit.cli.main import run

# Parameters that are only read, whatever the command.
READS = {
    "bundle", "calibration", "card", "config", "data", "decisions", "golden", "images", "paths",
    "require_signature", "sign", "sources",
}  # fmt: skip
# Command and option to the other arguments, and to an output that is one of the inputs.
# {m}: an ONNX file in {d}; {b}: a bundle; {v}: a video; {r}: a result.
WRITES = {
    "data -o": ("data digits", None),
    "export -o": ("export {m}", "{m}"),
    "quantize -o": ("quantize {m} --precision fp16", "{m}"),
    "compile -o": ("compile {m} --target onnxruntime:cpu", "{d}"),
    "bench -o": ("bench {m} --target onnxruntime:cpu", "{d}"),
    "bench --against -o": ("bench {m} --against {m} --target onnxruntime:cpu", "{d}"),
    "deploy -o": ("deploy {m} --target onnxruntime:cpu --data {d}", "{d}/new"),
    "deploy --dry-run -o": ("deploy {m} --target onnxruntime:cpu --dry-run", "{d}"),
    "pack -o": ("pack {b} --target onnxruntime:cpu", "{b}"),
    "predict -o": ("predict {m} {d}", "{d}/new"),
    "report -o": ("report {r} --data {d}", "{d}/page.html"),
    "results export -o": ("results export {r} --format json", "{r}"),
    "results export res -o": ("results export data --format json", "data/bench.json"),
    "demo --save": ("demo {m} --display none --source {v}", "{v}"),
    "demo --stats": ("demo {m} --display none --source {v} --detections same", "same"),
    "demo --detections": ("demo {m} --display none --source {d}", "{d}/new.jsonl"),
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """All commands by their full names."""
    context = click.Context(edgekit)
    for name in [*COMMANDS, *TOOLS]:
        command = edgekit.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def test_every_option_that_takes_a_path_is_known_to_read_or_to_write():
    found = set()
    for name, command in commands():
        for parameter in command.params:
            metavar = str(getattr(parameter, "metavar", "") or "")
            path = isinstance(parameter.type, click.Path) or re.search("FILE|DIR|PATH", metavar)
            if path and parameter.name not in READS:
                found.add(f"{name} {parameter.opts[0]}")
    assert found == {re.sub(r" (--against|--dry-run|res)\b", "", name) for name in WRITES}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """The current folder of a user, with inputs and somebody's folder; a cache that is empty."""
    here = tmp_path / "here"
    data, bundle, stranger = here / "data", here / "bundle", here / "stranger"
    for folder in (data, bundle, stranger):
        folder.mkdir(parents=True)
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", sides[:1], sides[1:])
    onnx.save(helper.make_model(graph, ir_version=10), data / "m.onnx")
    (data / "bench.json").write_text("{}")
    (data / "i.pgm").write_bytes(b"P5 1 1 255 0")
    (bundle / "manifest.json").write_text('{"schema": "edgekit.bundle/1", "files": {}}')
    (stranger / "thesis.tex").write_text("years of work")
    (here / "v.mp4").write_bytes(b"frames")
    (here / "r.json").write_text("{}")
    (here / "link").symlink_to(stranger)
    for suffix in ("onnx", "html", "json", "jsonl", "csv", "mp4"):
        (here / f"link.{suffix}").symlink_to("v.mp4")
    monkeypatch.chdir(here)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return here


def everything(folder: Path) -> dict[str, object]:
    return {
        str(path): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


SUFFIX = {"report": ".html", "results": ".json", "export": ".onnx", "quantize": ".onnx"}
CASES = {
    "no such place": "/proc/nope/x{s}",
    "a file as parent": "v.mp4/x{s}",
    "the current folder": ".",
    "the folder above": "..",
    "the current folder by name": "../here",
    "somebody's folder": "stranger",
    "a link": "link{s}",
    "another form": "x.tflite",
    "a name too long": "long" * 70 + "{s}",
    "an input": "",
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", WRITES)
def test_what_would_cost_a_file_is_refused_before_any_work(desk, capsys, name, case):
    arguments, read = WRITES[name]
    path = CASES[case] or read
    if path is None:
        pytest.skip(f"{name} reads nothing")
    command, option = name.split()[0], name.split()[-1]
    own = {"--save": ".mp4", "--stats": ".json", "--detections": ".jsonl"}
    suffix = own.get(option, SUFFIX.get(command, ""))
    places = {"m": "data/m.onnx", "d": "data", "b": "bundle", "v": "v.mp4", "r": "r.json"}
    filled = f"{arguments} {option} {path}".format(**places, s=suffix)
    before = everything(desk.parent)
    assert run([*filled.split(), "--force"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "bug in edgekit" not in said.err
    assert Path(path.format(**places, s=suffix)).name[:20] in said.err
    # Nothing was written, replaced or removed, and no stage of work was begun.
    assert everything(desk.parent) == before

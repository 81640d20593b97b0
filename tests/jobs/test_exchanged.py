"""Files that another user exchanges while edgekit is at work: what was checked is what is used."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from edgekit import api
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.core.source import Source
from edgekit.export.onnx_file import read_onnx, write_onnx
from edgekit.jobs import verify
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.opening import choose
from edgekit.jobs.opening.live import _parts
from edgekit.jobs.opening.live_request import LiveRequest
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs
from edgekit.jobs.steps.graphs import unshared_source
from edgekit.jobs.steps.keys import source_parts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other means")

TARGET = "onnxruntime:cpu"


@pytest.fixture
def shared(deployed, tmp_path) -> Path:
    """A bundle that everyone may write."""
    _, bundle = deployed
    place = Path(shutil.copytree(bundle, tmp_path / "b.bundle"))
    place.chmod(0o777)
    return place


def spoil(graph: Path) -> None:
    """Make every float weight of a graph zero, so that it answers otherwise."""
    model = read_onnx(graph)
    for tensor in model.graph.initializer:
        tensor.raw_data = bytes(len(tensor.raw_data))
    graph.unlink()
    write_onnx(model, graph)


def graph_of(bundle: Path) -> Path:
    return bundle / "variants" / "fp32" / "main.onnx"


def test_a_graph_exchanged_after_it_was_resolved_is_not_compiled(shared):
    target, probe = usable(TARGET)
    clean = resolve_model(str(shared), probe=probe)
    key = compile_graphs(clean.variant.paths, target, probe, CompileOptions(), progress=Silent())[
        "main"
    ].key
    spoil(graph_of(shared))
    again = compile_graphs(clean.variant.paths, target, probe, CompileOptions(), progress=Silent())[
        "main"
    ].key
    assert again == key
    with pytest.raises(BadInput, match="changed") as refused:
        resolve_model(str(shared), probe=probe)
    assert str(shared) in str(refused.value)


def test_verify_runs_what_it_took_the_sums_of(shared, monkeypatch):
    """Red where the graph is opened in the user's folder: what was exchanged would run."""

    def damage(bundle: Path, manifest: object) -> list[str]:
        found = true_damage(bundle, manifest)
        spoil(graph_of(shared))
        return found

    true_damage = verify.damage
    monkeypatch.setattr(verify, "damage", damage)
    document = api.verify(shared, targets=[TARGET])
    assert document.verdict == "PASS"
    assert document.bundle == str(shared)
    assert api.verify(shared, targets=[TARGET]).damaged


def test_the_entry_that_was_chosen_is_the_one_that_runs(shared, monkeypatch):
    def resolved(text: str, **options: object) -> object:
        spoil(graph_of(shared))
        return true_resolve(text, **options)

    true_resolve = choose.resolve_model
    monkeypatch.setattr(choose, "resolve_model", resolved)
    choice = choose.choose(str(shared), target=TARGET)
    assert choice.verdict == "PASS"
    assert not Path(choice.model.variant.graphs["main"]).is_relative_to(shared)


def test_a_source_is_exported_from_the_bytes_that_name_it_in_the_cache(digits_onnx, tmp_path):
    place = tmp_path / "open"
    place.mkdir()
    graph = Path(shutil.copy(digits_onnx, place))
    assert unshared_source(Source.parse(str(graph))).path == graph
    place.chmod(0o777)
    source = unshared_source(Source.parse(str(graph)))
    before = source_parts(source)
    spoil(graph)
    assert source.path != graph
    assert source_parts(source) == before
    assert source.name == graph.stem


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_folder_of_programs_comes_whole(digits_onnx, tmp_path, mode):
    """It holds no ONNX file at all, or one beside programs."""
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("encoder.pt2", "step.pt2"):
        (folder / name).write_bytes(name.encode())
    folder.chmod(mode)
    for _ in range(2):
        copy = unshared_source(Source.parse(str(folder))).path
        assert copy is not None
        assert (copy == folder) == (mode == 0o755)
        names = {file.name: file.read_bytes() for file in copy.iterdir()}
        assert names == {file.name: file.read_bytes() for file in folder.iterdir()}
        shutil.copy(digits_onnx, folder / "main.onnx")


def test_the_demo_remembers_nothing_of_what_others_can_change(shared):
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(LiveRequest))
    asked = LiveRequest(**{**nothing, "model": str(shared), "card_options": {}})
    assert _parts(asked) is None
    shared.chmod(0o755)
    assert _parts(asked) is not None

"""What is no model is refused with what it is, and with a command that goes on from there."""

from __future__ import annotations

import zipfile

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.no_model import no_model, refuse_no_model
from edgekit.core.source import Source

KINDS = ("source", "graph", "bundle")


def refused(text, takes):
    with pytest.raises(BadInput) as caught:
        refuse_no_model(str(text), takes)
    return caught.value


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(path, *, zipped=True):
    """A pickle that names a class of Ultralytics'; nothing can load it."""
    pickle = b"\x80\x02cultralytics.nn.tasks\nDetectionModel\n."
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("best/data.pkl", pickle)
    else:
        path.write_bytes(pickle)
    return path


@pytest.mark.parametrize("takes", KINDS)
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_ultralytics_is_known_without_loading_it(folder, takes, zipped):
    # Red where only the reader of weights knows it: bench, inspect and demo said other things.
    error = refused(checkpoint(folder / "my best.pt", zipped=zipped), takes)
    assert "Ultralytics" in error.message
    verb = "deploy" if takes == "bundle" else "export"
    command = f"edgekit {verb} 'ultralytics:{folder}/my best.pt' --trust-pickle -o '{folder}/my"
    assert command in error.hint


def test_a_checkpoint_is_known_without_reading_its_archive(folder):
    """A directory of 1.5 million members was read for it, in a process without limits."""
    path = checkpoint(folder / "best.pt")
    path.write_bytes(path.read_bytes()[:-30])
    assert "Ultralytics" in refused(path, "graph").message


def test_a_graph_that_lies_beside_is_named_instead_of_made_again(folder):
    checkpoint(folder / "best.pt")
    (folder / "best.onnx").write_bytes(b"x")
    error = refused("best.pt", "graph")
    assert "best.onnx" in error.hint
    assert "edgekit export" not in error.hint


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("net.pt2", ""),
        ("net.safetensors", " --arch MODULE:FACTORY"),
        ("edgekit:net", ""),
        ("ultralytics:net.yaml", ""),
        ("ultralytics:net.pt", " --trust-pickle"),
    ],
)
def test_a_trained_model_becomes_what_is_taken_by_one_command(folder, name, options):
    # verify and pack were told to export, and then refused the graph.
    if ":" not in name:
        (folder / name).write_bytes(b"x")
    command = f"edgekit export {name}{options} -o net.onnx"
    assert command in refused(name, "graph").hint
    (folder / "net.onnx").write_bytes(b"x")
    command = f"edgekit deploy {name}{options} -o net.bundle"
    error = refused(name, "bundle")
    assert command in error.hint
    assert "graph" not in error.message


@pytest.mark.parametrize("takes", KINDS)
@pytest.mark.parametrize("name", ["net.pt", "net.onnx", "net.tflite", "net"])
def test_an_empty_file_is_called_that_and_no_model(folder, takes, name):
    (folder / name).touch()
    error = refused(name, takes)
    assert "empty" in error.message
    assert "holds" not in error.message


@pytest.mark.parametrize("takes", KINDS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.h5", "--keras a.h5 --output a.onnx"),
        ("a.keras", "--keras a.keras"),
        ("a.tflite", "--tflite a.tflite"),
        ("a.pb", "--graphdef a.pb"),
        ("a.mlmodel", "Core ML"),
        ("a.engine", "edgekit compile a.engine"),
        ("A.PLAN", "edgekit compile A.PLAN"),
        ("a.xml", "OpenVINO"),
        ("a.gguf", "llama.cpp"),
    ],
)
def test_files_of_other_frameworks_are_known_by_their_ending(folder, takes, name, said):
    (folder / name).write_bytes(b"x")
    assert said in str(refused(name, takes))


def test_a_folder_of_tensorflow_is_converted(folder):
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"x")
    assert "--saved-model saved --output saved.onnx" in refused("saved", "graph").hint


@pytest.mark.parametrize("takes", KINDS)
def test_a_folder_around_a_bundle_leads_to_it(folder, takes):
    (folder / "out" / "my.bundle").mkdir(parents=True)
    assert "Did you mean" not in refused("out", takes).hint
    (folder / "out" / "my.bundle" / "manifest.json").write_bytes(b"x")
    assert "'out/my.bundle'" in refused("out", takes).hint


def test_a_bundle_is_no_source(folder):
    (folder / "my.bundle").mkdir()
    (folder / "my.bundle" / "manifest.json").write_bytes(b"x")
    (folder / "my.bundle" / "recipe.yaml").write_bytes(b"x")
    command = "edgekit deploy --config my.bundle/recipe.yaml"
    assert command in refused("my.bundle", "source").hint
    assert command in no_model("my.bundle@fp32", "source").hint
    for takes in ("graph", "bundle"):
        refuse_no_model("my.bundle", takes)
    assert "my.bundle" in no_model("my.bundle@fp32", "bundle").hint


@pytest.mark.parametrize("takes", KINDS)
@pytest.mark.parametrize(
    ("typed", "there"),
    [
        ("modle.onnx", "model.onnx"),
        ("sub/modle.onnx", "sub/model.onnx"),
        ("model.onx", "model.onnx"),
        ("my.bundel", "my.bundle"),
        ("my.bundel@int8", "my.bundle@int8"),
    ],
)
def test_a_misspelt_path_gets_the_nearest_model_beside_it(folder, takes, typed, there):
    path = folder / there.partition("@")[0]
    if path.suffix == ".bundle":
        path.mkdir()
        path = path / "manifest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    (folder / "modle.txt").write_bytes(b"x")
    assert f"Did you mean {there!r}" in no_model(typed, takes).hint


def test_a_checkpoint_that_ultralytics_publishes_is_fetched_by_its_own_program(folder):
    error = no_model("yolo11n-seg.pt", "graph")
    assert "downloads no weights" in error.message
    assert "yolo export model=yolo11n-seg.pt format=onnx" in error.hint
    assert "edgekit export ultralytics:yolo11n-seg.yaml -o yolo11n-seg.onnx" in error.hint
    (folder / "yolo11n-seg.onnx").write_bytes(b"x")
    assert "'yolo11n-seg.onnx'" in no_model("yolo11n-seg.pt", "source").hint


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0"])
@pytest.mark.parametrize("takes", KINDS)
def test_a_name_of_torchvision_is_saved_first(folder, takes, name):
    command = f"edgekit export {name}.pt2 -o {name}.onnx"
    assert command in no_model(name, takes).hint
    assert command in refused(f"torchvision:{name}", takes).hint


def test_a_name_is_printed_into_no_command_that_would_run_it(folder):
    assert "python -c" not in refused("timm:x'); import os; ('", "source").hint


def test_a_built_in_by_its_bare_name_gets_its_scheme(folder):
    assert "edgekit:digits" in no_model("digits", "source").hint
    assert "edgekit export edgekit:digits -o digits.onnx" in no_model("digits", "graph").hint


def test_what_is_a_model_is_not_refused(folder):
    for name in ("net.onnx", "net.pt2", "net.pth", "net.pt", "net.safetensors", "odd.name"):
        (folder / name).write_bytes(b"x")
        refuse_no_model(name, "source")
    refuse_no_model("net.onnx", "graph")
    refuse_no_model("ultralytics:yolo11n.yaml", "source")
    assert Source.parse("net.pt").kind == "state-dict"

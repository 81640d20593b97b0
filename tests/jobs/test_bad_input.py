"""Bad input to the commands: one sentence, the contract's status, nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import TensorProto, helper

SOURCE = Path(__file__).parent.parent / "models" / "squeezenet.py"


def edgekit(*args, cwd=None, **env):
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=250,
        cwd=cwd,
        env={**os.environ, **env},
    )


def refused(result, status, *words):
    """One sentence on stderr that holds the words, and the exit status."""
    assert result.returncode == status, result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    assert "bug in edgekit" not in result.stderr
    message = " ".join(result.stderr.split())
    for word in words:
        assert word in message, message
    said = [line for line in result.stderr.splitlines() if line.startswith("edgekit: ")]
    assert said, result.stderr
    assert result.stdout == ""


@pytest.fixture
def output(tmp_path):
    """A path to write to; afterwards nothing must be there, nor beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder / "result.onnx"
    assert list(folder.iterdir()) == []


def test_a_missing_file(output):
    refused(edgekit("export", "nowhere.onnx", "-o", output), 2, "nowhere.onnx does not exist")


def test_a_truncated_onnx(output, digits_onnx, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(digits_onnx.read_bytes()[:1000])
    refused(edgekit("export", path, "-o", output), 2, "cut.onnx")
    refused(edgekit("compile", path, "--target", "onnxruntime:cpu"), 2, "cut.onnx")
    refused(edgekit("inspect", path), 2, "cut.onnx")


def test_a_text_file_called_onnx(output, tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    refused(edgekit("export", path, "-o", output), 2, "text.onnx")
    refused(edgekit("bench", path, "--target", "onnxruntime:cpu"), 2, "text.onnx")


class _Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/edgekit-was-here",)


def test_a_pickle_with_code_in_it_does_not_run(output, tmp_path):
    marker = Path("/tmp/edgekit-was-here")
    marker.unlink(missing_ok=True)
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"weight": _Evil()}))
    torch.save({"weight": _Evil()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        arch = f"{SOURCE}:squeezenet1_1"
        result = edgekit("export", tmp_path / name, "--arch", arch, "--trust-code", "-o", output)
        refused(result, 2, name, "--trust-pickle")
    assert not marker.exists()


def test_code_in_a_file_needs_consent(output, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, path)
    result = edgekit("export", path, "--arch", f"{SOURCE}:squeezenet1_1", "-o", output)
    refused(result, 2, "--trust-code")


def test_a_state_dict_of_another_network_names_the_first_keys(output, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"foreign.weight": torch.zeros(1)}, path)
    arch = f"{SOURCE}:squeezenet1_1"
    result = edgekit("export", path, "--arch", arch, "--trust-code", "-o", output)
    refused(result, 2, "features.0.weight", "foreign.weight")


def test_a_card_with_a_wrong_key_names_it_and_the_right_one(output, digits_onnx, tmp_path):
    card = tmp_path / "bad.card.yaml"
    card.write_text("schema: edgekit.card/1\ntask: raw\nlabel: [a]\n")
    result = edgekit("export", digits_onnx, "--card", card, "-o", output)
    refused(result, 2, "bad.card.yaml", "label", "'labels'")


def test_labels_of_the_wrong_length(output, digits, digits_onnx, tmp_path):
    card = _digits_card(tmp_path, labels=["only", "two"])
    result = edgekit(
        "eval", digits_onnx, "--card", card, "--data", digits, "--target", "onnxruntime:cpu"
    )
    refused(result, 2, "2", "labels")


def test_a_wrong_input_shape(digits_onnx):
    result = edgekit(
        "bench", digits_onnx, "--target", "onnxruntime:cpu", "--shapes", "image=1,3,7,7"
    )
    refused(result, 2, "image")


def test_an_unknown_input(digits_onnx):
    result = edgekit(
        "bench", digits_onnx, "--target", "onnxruntime:cpu", "--shapes", "imagge=1,1,32,32"
    )
    refused(result, 2, "imagge", "'image'")


def test_an_empty_data_folder(output, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = edgekit(
        "deploy",
        "edgekit:digits",
        "--data",
        empty,
        "--target",
        "ort:cpu",
        "-o",
        output.with_suffix(".bundle"),
    )
    refused(result, 2, str(empty), "empty")


def test_one_unreadable_image_is_named_and_skipped(digits, digits_onnx, tmp_path):
    data = _small(digits, tmp_path / "data", 30)
    victim = sorted((data / "images").glob("eval-*"))[3]
    victim.write_bytes(victim.read_bytes()[:40])
    result = edgekit(
        "eval", digits_onnx, "--data", data, "--target", "onnxruntime:cpu", "--json", "--quiet"
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["skipped"] == [f"images/{victim.name}"]
    assert document["n"] == 29


def test_too_many_unreadable_images_are_counted_and_refused(digits, digits_onnx, tmp_path):
    data = _small(digits, tmp_path / "data", 30)
    for victim in sorted((data / "images").glob("eval-*"))[:5]:
        victim.write_bytes(b"")
    result = edgekit("eval", digits_onnx, "--data", data, "--target", "onnxruntime:cpu")
    refused(result, 2, "cannot be read", "eval-")


def test_an_unknown_target_gets_the_closest_match(output):
    result = edgekit("deploy", "edgekit:digits", "--target", "openvinno:cpu", "-o", output)
    refused(result, 2, "openvinno", "openvino")


def test_an_engine_that_is_not_installed_gets_the_pip_command(digits_onnx, tmp_path):
    # A distribution is absent to importlib.metadata when its folder is not on the path: run from
    # an environment that sees everything but openvino.
    shadow = tmp_path / "site"
    shadow.mkdir()
    site = Path(np.__file__).parent.parent
    for entry in site.iterdir():
        if not entry.name.lower().startswith("openvino"):
            (shadow / entry.name).symlink_to(entry)
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [
            sys.executable,
            "-S",
            "-m",
            "edgekit",
            "compile",
            str(digits_onnx),
            "--target",
            "openvino:cpu",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{shadow}{os.pathsep}{root}"},
    )
    refused(result, 3, "openvino", "pip install")


def test_a_gpu_that_is_not_there(digits_onnx):
    refused(edgekit("compile", digits_onnx, "--target", "onnxruntime:cuda:0"), 3, "cuda")


def test_a_full_disk(digits_onnx, small_disk):
    disk = small_disk("64k")
    result = edgekit("export", digits_onnx, "-o", disk / "model.onnx")
    refused(result, 2, "no space left")
    assert list(disk.iterdir()) == []
    result = edgekit("data", "digits", "-o", disk / "digits")
    refused(result, 2, str(disk))
    assert list(disk.iterdir()) == []


def test_a_full_cache_ends_a_deployment_which_goes_on_where_there_is_room(
    digits, tmp_path, tool, small_disk
):
    """The engine has no room: that is no fault of the entry, and nothing that was made is lost."""
    cache = small_disk("450k")
    deploy = ("deploy", "edgekit:digits", "--data", digits, "--target", "onnxruntime:cpu")
    options = ("--precision", "fp32", "--time", "0.2", "-o", tmp_path / "bundle", "--json")
    result = edgekit(*deploy, *options, "--quiet", EDGEKIT_CACHE=str(cache))
    assert result.returncode == 2, result.stdout
    said = json.loads(result.stdout)["message"]
    assert said == f"The cache {cache} cannot be written: no space left on device."
    assert not (tmp_path / "bundle").exists()
    subprocess.run([tool("mount"), "-o", "remount,size=5m", str(cache)], check=True)
    result = edgekit(*deploy, *options, EDGEKIT_CACHE=str(cache))
    assert result.returncode == 0, result.stderr
    found = {stage["stage"]: stage["hit"] for stage in json.loads(result.stdout)["stages"]}
    assert (found["export"], found["reference"], found["engine"]) == (True, True, False)


def test_a_path_that_cannot_be_written(digits_onnx, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    result = edgekit("export", digits_onnx, "-o", blocker / "model.onnx")
    refused(result, 2, "cannot be written")
    result = edgekit(
        "deploy", "edgekit:digits", "--target", "onnxruntime:cpu", "-o", blocker / "bundle"
    )
    refused(result, 2, "cannot be written")
    assert "made" not in result.stderr  # refused before any work


def test_external_data_outside_its_folder_is_not_read(output, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.zeros(4, np.float32).tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret.bin")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert onnx.load(path, load_external_data=False)
    refused(edgekit("export", path, "-o", output), 2, "../secret.bin")
    refused(edgekit("compile", path, "--target", "onnxruntime:cpu"), 2, "../secret.bin")


def test_an_existing_output_is_not_replaced_unasked(digits_onnx, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("mine")
    refused(edgekit("export", digits_onnx, "-o", path), 2, "exists", "--force")
    assert path.read_text() == "mine"


def test_int8_without_images_says_what_is_missing(output, digits_onnx):
    refused(edgekit("quantize", digits_onnx, "-o", output), 2, "--data")


def test_a_folder_that_is_no_bundle(tmp_path):
    refused(edgekit("verify", tmp_path), 2, "is not a bundle")


def test_a_manifest_that_reaches_outside_its_bundle(deployed, tmp_path):
    _, bundle = deployed
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("variants/fp32/main.onnx", "../../etc/passwd"))
    refused(edgekit("verify", copy), 2, "outside the bundle")


def test_an_unknown_variant_of_a_bundle(deployed):
    _, bundle = deployed
    result = edgekit("compile", f"{bundle}@int9", "--target", "onnxruntime:cpu")
    refused(result, 2, "int9", "int8")


def test_an_error_is_a_document_with_json(tmp_path):
    result = edgekit("verify", tmp_path, "--json")
    assert result.returncode == 2
    document = json.loads(result.stdout)
    assert document["schema"] == "edgekit.error/1"
    assert document["exit_status"] == 2


def _small(digits: Path, folder: Path, count: int) -> Path:
    """A data set of the first `count` evaluation digits."""
    (folder / "images").mkdir(parents=True)
    lines = (digits / "labels.csv").read_text().splitlines()
    kept = [line for line in lines[1:] if line.endswith(",eval")][:count]
    for line in kept:
        name = line.split(",")[0]
        shutil.copyfile(digits / name, folder / name)
    (folder / "labels.csv").write_text("\n".join([lines[0], *kept]) + "\n")
    assert cv2.imread(str(folder / kept[0].split(",")[0])) is not None
    return folder


def _digits_card(folder: Path, **changes) -> Path:
    from edgekit.core.card import card_to_dict
    from edgekit.export.builtin.catalogue import builtin_card

    path = folder / "digits.card.yaml"
    path.write_text(
        yaml.safe_dump({**json.loads(json.dumps(card_to_dict(builtin_card("digits")))), **changes})
    )
    return path

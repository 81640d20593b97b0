"""Checkpoints and yamls of Ultralytics': what is refused, what the card says, what stays as is."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import subprocess
import sys

import msgspec
import pytest
from ultralytics_nets import SIZE, checkpoint, tasks

from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.core.source import Source
from edgekit.export.load import load_source
from edgekit.export.ultralytics_source import at_size, load_ultralytics, ultralytics_source_card
from edgekit.export.weights import read_weights


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    """A checkpoint of yolo11n, as training leaves it."""
    return checkpoint(tmp_path_factory.mktemp("best") / "best.pt", "yolo11n.yaml")


def test_a_checkpoint_is_a_pickle_and_says_so(best):
    with pytest.raises(BadInput, match="is a pickle of whole objects") as caught:
        load_ultralytics(str(best))
    assert "--trust-pickle" in caught.value.hint


def test_a_checkpoint_brings_its_card(best):
    card = ultralytics_source_card(str(best), trust_pickle=True)
    assert (card.task, card.labels[:2], len(card.labels)) == (
        "detection",
        ("thing 0", "thing 1"),
        80,
    )
    assert (card.preprocess.size, card.preprocess.resize) == (SIZE, "letterbox")
    assert card.postprocess.decode == "yolov8"
    (tensor,) = card.inputs.values()
    assert (tensor.shape[0].name, *tensor.shape[1:]) == ("batch", 3, *SIZE)
    assert "AGPL" in card.provenance["license"]


@pytest.mark.parametrize(
    ("name", "decode", "keypoints"),
    [
        ("yolo11n-seg.yaml", "yolov8-segment", None),
        ("yolo26n-pose.yaml", "yolov8-pose", (17, 3)),
    ],
)
def test_a_yaml_is_named_as_the_library_names_it(name, decode, keypoints):
    tasks()
    source = Source.parse(f"ultralytics:{name}")
    assert (source.path, source.name) == (None, name.removesuffix(".yaml"))
    card = load_source(source)["main"].card
    assert (card.postprocess.decode, card.postprocess.keypoints) == (decode, keypoints)
    assert card.preprocess.size == (640, 640)


def test_the_random_weights_of_a_yaml_are_the_same_every_time():
    import torch

    tasks()
    torch.manual_seed(5)
    one = load_ultralytics("yolo11n.yaml")[0].state_dict()
    torch.manual_seed(6)
    other = load_ultralytics("yolo11n.yaml")[0].state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_cards_head_is_the_one_that_is_kept():
    tasks()
    card = ultralytics_source_card("yolo26n.yaml")
    assert card.postprocess.decode == "yolov8"
    wanted = msgspec.structs.replace(
        card, postprocess=msgspec.structs.replace(card.postprocess, decode="end2end")
    )
    model, own = load_ultralytics("yolo26n.yaml", wanted)
    assert own.postprocess.decode == "end2end"
    assert model.model[-1].end2end
    with pytest.raises(BadInput, match="has no head without duplicates"):
        load_ultralytics("yolo11n.yaml", wanted)


def test_another_size_must_be_a_multiple_of_the_stride(best):
    card = at_size(ultralytics_source_card(str(best), trust_pickle=True), (384, 640))
    assert card.preprocess.size == (384, 640)
    assert next(iter(card.inputs.values())).shape[2:] == (384, 640)
    with pytest.raises(BadInput, match="stride 32") as caught:
        at_size(card, (360, 640))
    assert "[352, 640]" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no checkpoint of Ultralytics', or it is damaged"),
        (b"PK\x03\x04 no zip", "no checkpoint of Ultralytics', or it is damaged"),
        (b"<html>", "no checkpoint of Ultralytics', or it is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content, said):
    tasks()
    path = tmp_path / "bad.pt"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said) as caught:
        load_ultralytics(str(path), trust_pickle=True)
    assert "\n" not in caught.value.message


def test_half_a_checkpoint_is_damaged(tmp_path, best):
    path = tmp_path / "half.pt"
    path.write_bytes(best.read_bytes()[:100_000])
    with pytest.raises(BadInput, match="damaged"):
        load_ultralytics(str(path), trust_pickle=True)


def test_a_state_dict_is_no_network(tmp_path):
    import torch

    tasks()
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(BadInput, match="holds no network") as caught:
        load_ultralytics(str(tmp_path / "weights.pt"), trust_pickle=True)
    assert "--arch" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("missing.pt", "missing.pt does not exist"),
        ("yolo11n", "neither a .pt nor a .yaml"),
        ("yolo11n.onnx", "neither a .pt nor a .yaml"),
        ("https://example.org/yolo11n.yaml", "neither a .pt nor a .yaml"),
        ("yolo99n.yaml", "neither a file nor a model of ultralytics"),
    ],
)
def test_what_is_no_source_is_named(location, said):
    tasks()
    with pytest.raises(BadInput, match=said):
        load_ultralytics(location, trust_pickle=True)


def test_a_yaml_of_the_users_may_not_run_python_unasked(tmp_path):
    module = tasks()
    from pathlib import Path

    text = next(Path(module.__file__).parents[1].rglob("yolo11.yaml")).read_text()
    (tmp_path / "yolo11n.yaml").write_text(text)
    assert load_ultralytics(str(tmp_path / "yolo11n.yaml"))[1].task == "detection"
    code = f"\nactivation: open({str(tmp_path / 'ran')!r}, 'w') and torch.nn.ReLU()\n"
    (tmp_path / "yolo11n.yaml").write_text(text + code)
    with pytest.raises(BadInput, match="`activation`.*is Python code"):
        load_ultralytics(str(tmp_path / "yolo11n.yaml"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        # The key was looked for at the beginning of a line.
        ("net.yaml", lambda text, code: f'{{activation: "{code}", {_flow(text)}}}'),
        ("net.yaml", lambda text, code: f'{text}\n"\\x61ctivation": "{code}"\n'),
        # The library reads it for yolo11n.yaml, where it lies in the current folder.
        ("yolo11.yaml", lambda text, code: f'{text}\nactivation: "{code}"\n'),
        # Whatever a layer names of the library's module is called.
        ("net.yaml", lambda text, code: text.replace("Conv,", "torch_safe_load,", 1)),
        ("net.yaml", lambda text, code: text.replace("Conv,", "nn.utils.rnn.PackedSequence,", 1)),
    ],
)
def test_a_yaml_hides_no_python(tmp_path, monkeypatch, name, edit):
    module = tasks()
    from pathlib import Path

    text = next(Path(module.__file__).parents[1].rglob("yolo11.yaml")).read_text()
    code = f"open('{tmp_path / 'ran'}', 'w') and torch.nn.ReLU()"
    (tmp_path / name).write_text(edit(text, code))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"is Python code|is no layer") as caught:
        load_ultralytics(name.replace("11", "11n"))
    assert "--trust-code" in caught.value.hint
    assert not (tmp_path / "ran").exists()


def _flow(text):
    import json

    import yaml

    return json.dumps(yaml.safe_load(text))[1:-1]


def test_a_yaml_that_describes_nothing_is_one_sentence(tmp_path):
    tasks()
    (tmp_path / "net.yaml").write_text("nc: 3\nbackbone: []\nhead: []\n")
    with pytest.raises(BadInput, match=r"net\.yaml") as caught:
        load_ultralytics(str(tmp_path / "net.yaml"))
    assert "\n" not in caught.value.message


def test_a_task_without_a_head_is_raw():
    tasks()
    card = ultralytics_source_card("yolo11n-obb.yaml")
    assert (card.task, card.postprocess) == ("raw", None)
    assert "no head for Ultralytics' task 'obb'" in card.provenance["note"]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_plain_path_to_a_checkpoint_leads_to_its_library(best, trusted):
    with pytest.raises(BadInput, match="a checkpoint of Ultralytics'") as caught:
        read_weights(best, trust_pickle=trusted)
    assert f"ultralytics:{best} --trust-pickle" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_the_command_of_the_hint_works_as_printed(best, tmp_path, monkeypatch, there):
    monkeypatch.chdir(tmp_path)
    if there:
        (tmp_path / "yolo11n.pt").write_bytes(best.read_bytes())
    with pytest.raises(BadInput) as caught:
        Source.parse("yolo11n.pt")
    command = shlex.split(caught.value.hint.partition(": edgekit ")[2])
    ran = subprocess.run(
        [sys.executable, "-m", "edgekit", *command], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "yolo11n.onnx").is_file()


def test_the_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    monkeypatch.setitem(sys.modules, "ultralytics.nn", None)
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    with pytest.raises(MissingLibrary, match="ultralytics is needed") as caught:
        load_ultralytics("yolo11n.yaml")
    assert "edgekit[ultralytics]" in caught.value.hint


_QUIETLY = """
import importlib.metadata, os, socket, sys
import cv2, numpy, torch
def refuse(*a, **k): raise SystemExit(f"asked the network: {a}")
socket.getaddrinfo = socket.socket.connect = refuse
before = dict(os.environ), cv2.getNumThreads(), numpy.get_printoptions(), torch.save
from edgekit.export.ultralytics_source import load_ultralytics
load_ultralytics("yolo26n.yaml")
assert before == (dict(os.environ), cv2.getNumThreads(), numpy.get_printoptions(), torch.save)
assert "torchvision" not in sys.modules
try:
    importlib.metadata.version("torchvision")
except importlib.metadata.PackageNotFoundError:
    pass
"""


def test_the_import_leaves_nothing_behind_says_nothing_and_asks_nobody(tmp_path):
    tasks()
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    for name in ("OMP_NUM_THREADS", "YOLO_CONFIG_DIR", "YOLO_OFFLINE"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", _QUIETLY],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_torchvision_is_answered_for_during_the_import_only():
    from edgekit.export.ultralytics_package import _torchvision_known

    asked = importlib.metadata.version
    with _torchvision_known():
        assert importlib.metadata.version("torchvision")
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("no-such-library-at-all")
    assert importlib.metadata.version is asked

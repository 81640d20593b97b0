"""Sources become networks, or one clear sentence."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgekit.core.errors import BadInput
from edgekit.core.source import SCHEMES, Source
from edgekit.export.arch import build_networks
from edgekit.export.load import load_source
from edgekit.export.weights import read_program, read_weights

NET = """
from torch import nn
def net():
    return nn.Sequential(nn.Linear(3, 2), nn.Dropout())
def two():
    return {"encoder": nn.Linear(3, 2), "step": nn.Linear(2, 2)}
def broken():
    raise RuntimeError("no such luck")
def number():
    return 3
value = 1
"""


@pytest.fixture
def arch(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return str(tmp_path / "net.py")


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.Dropout()).state_dict()


class Marker:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def load(path: Path, arch: str | None, **trust: bool):
    source = Source(text=str(path), kind="state-dict", location=str(path), arch=arch)
    return load_source(source, **trust)


def program(path: Path, network: nn.Module | None = None, **options: object) -> Path:
    network = network or nn.Linear(3, 2)
    torch.export.save(torch.export.export(network.eval(), (torch.randn(2, 3),), **options), path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_a_state_dict_fills_its_network_in_eval_mode(tmp_path, arch, state, suffix):
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    module = load(path, f"{arch}:net", trust_code=True)["main"].module
    assert torch.equal(module[0].weight, state["0.weight"])
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_state_dict_is_found_under_the_keys_of_training_scripts(tmp_path, arch, state, key):
    path = tmp_path / "checkpoint.pth"
    torch.save({key: state, "epoch": 3}, path)
    module = load(path, f"{arch}:net", trust_code=True)["main"].module
    assert torch.equal(module[0].weight, state["0.weight"])


def test_several_networks_share_one_state_dict_by_role(tmp_path, arch):
    path = tmp_path / "two.pth"
    networks = nn.ModuleDict({"encoder": nn.Linear(3, 2), "step": nn.Linear(2, 2)})
    torch.save(networks.state_dict(), path)
    loaded = load(path, f"{arch}:two", trust_code=True)
    assert list(loaded) == ["encoder", "step"]
    assert torch.equal(loaded["step"].module.weight, networks["step"].weight)


def test_a_state_dict_that_does_not_fit_names_the_first_keys(tmp_path, arch, state):
    path = tmp_path / "other.pth"
    other = {f"head.{index}": torch.zeros(1) for index in range(5)}
    torch.save({"0.bias": torch.zeros(7), **other}, path)
    with pytest.raises(BadInput) as caught:
        load(path, f"{arch}:net", trust_code=True)
    message = caught.value.message
    assert "missing 0.weight" in message
    assert "unexpected head.0, head.1, head.2 and 2 more" in message
    assert "0.bias is [7] in the file and [2] in the network" in message


def test_weights_saved_from_data_parallel_are_explained_not_repaired(tmp_path, arch, state):
    path = tmp_path / "parallel.pth"
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    with pytest.raises(BadInput) as caught:
        load(path, f"{arch}:net", trust_code=True)
    assert "module.state_dict()" in caught.value.hint


def test_a_pickle_with_code_is_refused_named_and_not_run(tmp_path, arch):
    path, mark = tmp_path / "evil.pth", tmp_path / "mark"
    torch.save({"a": Marker(mark)}, path)
    with pytest.raises(BadInput) as caught:
        load(path, f"{arch}:net", trust_code=True)
    assert "mkdir" in caught.value.message
    assert "--trust-pickle" in caught.value.hint
    assert not mark.exists()


def test_a_whole_module_needs_trust_and_then_is_the_network(tmp_path, arch):
    path = tmp_path / "module.pth"
    network = nn.Sequential(nn.Linear(3, 2), nn.Dropout())
    torch.save(network, path)
    with pytest.raises(BadInput, match=r"torch\.nn"):
        load(path, None)
    assert torch.equal(
        load(path, None, trust_pickle=True)["main"].module[0].weight, network[0].weight
    )
    named = load(path, f"{arch}:net", trust_code=True, trust_pickle=True)["main"].module
    assert torch.equal(named[0].weight, network[0].weight)


def test_weights_without_an_architecture_ask_for_one(tmp_path, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(BadInput, match="holds weights only") as caught:
        load(path, None)
    assert "--arch" in caught.value.hint


# Noise was said to hold "more than tensors", to be loaded with --trust-pickle.
@pytest.mark.parametrize(
    "content", [b"", b"hello, this is text\n", b"PK\x03\x04 cut", b"U\x99\xf0\x07" * 500]
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.pt2"])
def test_what_is_no_weights_file_is_said_to_be_damaged(tmp_path, name, content, capfd):
    path = tmp_path / name
    path.write_bytes(content)
    read = read_program if name.endswith("pt2") else read_weights
    with pytest.raises(BadInput, match="damaged"):
        read(path, trust_pickle=False)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.pt2"])
def test_truncated_weights_are_said_to_be_damaged(tmp_path, state, name, capfd):
    path = tmp_path / name
    if name.endswith("pt2"):
        program(path)
    elif name.endswith("safetensors"):
        save_file(state, path)
    else:
        torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-200])
    capfd.readouterr()
    read = read_program if name.endswith("pt2") else read_weights
    with pytest.raises(BadInput, match="damaged"):
        read(path, trust_pickle=False)
    assert capfd.readouterr() == ("", "")


def test_a_list_of_numbers_is_no_state_dict(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([1, 2], path)
    with pytest.raises(BadInput, match=r"holds no state dict.*'list'"):
        read_weights(path, trust_pickle=False)


def test_a_checkpoint_with_other_objects_beside_its_weights_loads_with_trust_only(tmp_path, state):
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, path)
    with pytest.raises(BadInput, match=r"argparse\.Namespace") as caught:
        read_weights(path, trust_pickle=False)
    assert "--trust-pickle" in caught.value.hint
    assert torch.equal(read_weights(path, trust_pickle=True)["0.bias"], state["0.bias"])


def test_a_pickle_that_torch_did_not_write_fails_with_trust_too(tmp_path, state):
    path = tmp_path / "plain.pth"
    path.write_bytes(pickle.dumps([state], protocol=4))
    with pytest.raises(BadInput, match="even trusted"):
        read_weights(path, trust_pickle=True)


def rewritten(path: Path, change) -> Path:
    """Write a .pt2 again with every record passed through `change(name, content)`."""
    changed = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return changed


def test_a_program_loads_and_one_that_carries_code_is_refused(tmp_path):
    batch = torch.export.Dim("batch", min=1, max=8)
    path = program(tmp_path / "net.pt2", dynamic_shapes=({0: batch},))
    assert read_program(path, trust_pickle=False)[0].graph_signature.user_inputs == ("input",)

    def hostile(name: str, content: bytes) -> bytes:
        text = content.decode("utf-8", "replace")
        if not name.endswith("models/model.json"):
            return content
        at = text.index('"expr_str": "') + len('"expr_str": "')
        return (text[:at] + "__import__('os').abort() or " + text[at:]).encode()

    with pytest.raises(BadInput, match="no plain expression"):
        read_program(rewritten(path, hostile), trust_pickle=False)


def test_the_example_inputs_of_a_program_are_not_opened(tmp_path):
    mark = tmp_path / "mark"
    torch.save((Marker(mark),), tmp_path / "evil.pt")
    evil = (tmp_path / "evil.pt").read_bytes()
    path = rewritten(
        program(tmp_path / "net.pt2"),
        lambda name, content: evil if "sample_inputs" in name else content,
    )
    assert read_program(path, trust_pickle=False)[0].example_inputs is None
    assert not mark.exists()


def test_a_program_with_a_pickled_constant_is_refused(tmp_path):
    def custom(name: str, content: bytes) -> bytes:
        if not name.endswith("constants_config.json"):
            return content
        payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
        return json.dumps({"config": {"c": {**payload, "tensor_meta": None}}}).encode()

    path = rewritten(program(tmp_path / "net.pt2"), custom)
    with pytest.raises(BadInput, match="opaque_obj_0") as caught:
        read_program(path, trust_pickle=False)
    assert "--trust-pickle" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{file}:net", None),
        ("{file}:nte", "has no 'nte'"),
        ("{file}:broken", "no such luck"),
        ("{file}:number", "'int'"),
        ("{file}:value", "not a function"),
        ("{file}", "does not name a network"),
        (":net", "does not name a network"),
        ("no_such_module_here:net", "'no_such_module_here'"),
        ("missing.py:net", "missing.py"),
    ],
)
def test_an_architecture_is_built_or_what_is_wrong_is_named(arch, name, said):
    text = name.format(file=arch)
    if said is None:
        assert isinstance(build_networks(text, trust_code=True)["main"], nn.Sequential)
        return
    with pytest.raises(BadInput) as caught:
        build_networks(text, trust_code=True)
    assert said in caught.value.message


def test_code_in_a_file_is_not_run_without_trust(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "net.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    with pytest.raises(BadInput) as caught:
        build_networks(f"{tmp_path}/net.py:net", trust_code=False)
    assert "--trust-code" in caught.value.hint
    assert not mark.exists()


def test_a_definition_may_import_its_neighbours_and_a_failing_one_is_named(tmp_path):
    (tmp_path / "edgekit_test_part.py").write_text(NET)
    (tmp_path / "net.py").write_text("from edgekit_test_part import net")
    assert build_networks(f"{tmp_path}/net.py:net", trust_code=True)
    (tmp_path / "bad.py").write_text("import edgekit_no_such_thing")
    with pytest.raises(BadInput, match="edgekit_no_such_thing"):
        build_networks(f"{tmp_path}/bad.py:net", trust_code=True)


def test_a_folder_is_one_file_a_role(tmp_path, linear_model):
    program(tmp_path / "encoder.pt2")
    (tmp_path / "step.onnx").write_bytes(linear_model.SerializeToString())
    (tmp_path / "card.yaml").write_text("task: raw")
    source = Source.parse(str(tmp_path))
    loaded = load_source(source)
    assert list(loaded) == ["encoder", "step"]
    assert loaded["step"].onnx == tmp_path / "step.onnx"
    program(tmp_path / "step.pt2")
    with pytest.raises(BadInput, match="two files for the role 'step'"):
        load_source(source)


def test_a_folder_without_models_says_what_it_should_hold(tmp_path):
    with pytest.raises(BadInput, match="holds no model") as caught:
        load_source(Source(str(tmp_path), "folder", str(tmp_path)))
    assert "encoder.onnx" in str(caught.value)


@pytest.mark.parametrize(
    "scheme", [scheme for scheme in SCHEMES if scheme not in ("edgekit", "ultralytics")]
)
def test_a_scheme_without_a_loader_says_what_works_instead(scheme):
    with pytest.raises(BadInput, match="not supported yet") as caught:
        load_source(Source.parse(f"{scheme}:resnet18"))
    assert ".pt2" in caught.value.hint


def test_an_unknown_built_in_gets_the_closest_match():
    with pytest.raises(BadInput, match="digist") as caught:
        load_source(Source.parse("edgekit:digist"))
    assert "'digits'" in caught.value.hint


@pytest.mark.realdata
def test_a_checkpoint_saved_on_a_gpu_loads_on_the_cpu(realdata):
    weights = read_weights(realdata / "models/fastestdet_original_cuda.pth", trust_pickle=False)
    plain = read_weights(realdata / "models/fastestdet.pth", trust_pickle=False)
    assert {value.device.type for value in weights.values()} == {"cpu"}
    assert all(torch.equal(weights[key], plain[key]) for key in plain)


def pickle_file(path: Path, content: bytes) -> Path:
    """An archive of torch.save's whose pickle is written by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3")
        archive.writestr("archive/byteorder", b"little")
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cnumpy._core.multiarray\n_reconstruct\n.",
        b"\x80\x02cnumpy.dtype\n.",
        b"\x80\x02cbuiltins\ngetattr\n.",
        b"\x80\x02cbuiltins\neval\n.",
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x08\x00\x00\x00\x00\x00\x00\xff\x7f\x85R.",
        b"\x80\x02)" + b"\x85" * 100_000 + b".",
        b"\x80\x02R.",
        b"\x80\x02h\x05.",
        # A dict that is its own state_dict: it ended in "This is a bug in edgekit".
        b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.",
    ],
    ids=["array", "dtype", "getattr", "eval", "bytes", "deep", "stack", "memo", "itself"],
)
def test_weights_of_a_pickle_written_by_hand_are_one_sentence(tmp_path, content):
    path = pickle_file(tmp_path / "w.pth", content)
    with pytest.raises(BadInput) as caught:
        read_weights(path, trust_pickle=False)
    assert str(path) in caught.value.message


@pytest.mark.filterwarnings("ignore")
def test_a_torchscript_program_is_called_one(tmp_path):
    """It was "not PyTorch weights, or it is damaged"."""
    path = tmp_path / "script.pt"
    torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(str(path))
    with pytest.raises(BadInput, match="TorchScript"):
        read_weights(path, trust_pickle=False)


@pytest.mark.parametrize(
    ("header", "data", "length"),
    [
        ({}, 0, 2**60),
        ({}, 0, 10**8),
        (b'{"a":' * 50_000, 0, None),
        ({"a": ([2], [0, 8]), "b": ([2], [4, 12])}, 12, None),
        ({"a": ([2], [8, 16])}, 16, None),
        ({"a": ([2**62, 4], [0, 8])}, 8, None),
        ({"a": ([200], [0, 800])}, 8, None),
        (b"\xff\xff{}", 0, None),
    ],
    ids=["8-EiB", "longer", "deep", "overlap", "gap", "overflow", "beyond", "no-text"],
)
def test_a_safetensors_header_that_lies_is_one_sentence(tmp_path, header, data, length):
    if isinstance(header, dict):
        entries = {
            name: {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            for name, (shape, offsets) in header.items()
        }
        header = json.dumps(entries).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes((length or len(header)).to_bytes(8, "little") + header + b"\0" * data)
    with pytest.raises(BadInput, match="damaged") as caught:
        read_weights(path, trust_pickle=False)
    assert str(path) in caught.value.message

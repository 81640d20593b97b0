"""Targets as text, lazy runtimes, and runtimes of third parties."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.target import Target
from edgekit.runtimes.catalogue import (
    CATALOGUE,
    broken_entries,
    load_runtime,
    parse_target,
    targets,
)
from edgekit.runtimes.probes import probe_all
from edgekit.runtimes.problems import installation_problems


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("onnxruntime", Target("onnxruntime", "cpu")),
        ("ort", Target("onnxruntime", "cpu")),
        ("ort:cpu", Target("onnxruntime", "cpu")),
        ("ort:cuda", Target("onnxruntime", "cuda")),
        ("onnxruntime:cuda:1", Target("onnxruntime", "cuda", 1)),
        ("ort:ep=QNN", Target("onnxruntime", "ep=QNN")),
        ("ov", Target("openvino", "cpu")),
        ("openvino:gpu:0", Target("openvino", "gpu", 0)),
        ("ov:npu", Target("openvino", "npu")),
        ("tensorrt:cuda:0", Target("tensorrt", "cuda", 0)),
        ("trt", Target("tensorrt", "cuda")),
        ("engine", Target("tensorrt", "cuda")),
        ("tensorrt-rtx", Target("tensorrt-rtx", "cuda")),
        ("rtx:cuda:1", Target("tensorrt-rtx", "cuda", 1)),
        ("null", Target("null", "cpu")),
    ],
)
def test_a_target_is_parsed_and_prints_back(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("onnxruntim:cpu", r"no runtime 'onnxruntim'.*Did you mean 'onnxruntime'"),
        ("opnvino", r"no runtime 'opnvino'.*Did you mean 'openvino'"),
        ("", r"no runtime ''"),
        ("openvino:cpuu", r"no device 'cpuu'.*Did you mean 'cpu'"),
        ("openvino:cuda", r"no device 'cuda'"),
        ("openvino:ep=QNN", r"no device 'ep=QNN'"),
        ("ort:ep=", r"names no provider"),
        ("ort:ep=QNN:1", r"takes no index"),
        ("ort:cpu:0", r"takes no index"),
        ("ort:cuda:one", r"index 'one' is not a number"),
        ("ort:cuda:-1", r"index '-1' is not a number"),
        ("ort:cuda:0:0", r"index '0:0' is not a number"),
        ("ort:cuda:", r"index '' is not a number"),
    ],
)
def test_a_wrong_target_names_the_part_that_is_wrong(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_target(text)


def test_every_entry_loads_and_probes_what_it_lists() -> None:
    for name, entry in CATALOGUE.items():
        runtime = load_runtime(name)
        for device in entry.devices:
            probe = runtime.probe(Target(name, device if device != "ep=" else "ep=CPU"))
            assert probe.usable or (probe.reason and probe.fix)


def test_targets_lists_devices_and_hides_the_null_runtime() -> None:
    assert {str(target) for target in targets()} >= {
        "onnxruntime:cpu",
        "onnxruntime:cuda",
        "openvino:cpu",
        "openvino:gpu",
        "openvino:npu",
    }
    assert not any(target.runtime == "null" for target in targets())


def test_probing_imports_no_engine() -> None:
    script = """
import sys
from edgekit.benchmarks.environment import environment
from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.nvidia import nvidia
from edgekit.runtimes.probes import probe_all
from edgekit.runtimes.problems import problems
assert probe_all() and problems(environment(None), nvidia(), jetson()) is not None
heavy = {
    "onnx", "onnxruntime", "openvino", "torch", "torchvision", "nncf", "tensorrt", "tensorrt_rtx"
} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_two_flavours_of_onnxruntime_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekit.runtimes import problems

    versions = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1", "openvino": "2023.3.0"}
    monkeypatch.setattr(
        problems,
        "installed",
        lambda names: {name: versions[name] for name in names if name in versions},
    )
    told = " ".join(installation_problems())
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in told
    assert "openvino 2023.3.0 is older than 2024.4" in told


def distribution(folder: Path, monkeypatch: pytest.MonkeyPatch, points: str) -> None:
    """A distribution on sys.path that offers runtimes."""
    info = folder / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[edgekit.runtimes]\n{points}\n")
    monkeypatch.syspath_prepend(str(folder))


def test_a_third_party_adds_a_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(
        tmp_path,
        monkeypatch,
        "stranger = stranger_entry:ENTRY\nopenvino = stranger_entry:ENTRY",
    )
    (tmp_path / "stranger_entry.py").write_text(
        "from edgekit.runtimes.catalogue import Entry\n"
        "ENTRY = Entry(module='stranger_runtime', aliases=('strange',), devices=('tpu',))\n"
    )
    (tmp_path / "stranger_runtime.py").write_text(
        "from edgekit.runtimes.null import NullRuntime\nRUNTIME = NullRuntime()\n"
    )
    target = parse_target("strange")
    assert target == Target("stranger", "tpu")
    assert target in targets()
    assert "stranger_runtime" not in sys.modules
    assert load_runtime("strange").probe(target).usable
    assert "stranger:tpu" in {probe.target for probe in probe_all()}
    # A name of ours is not for the taking.
    assert parse_target("openvino").device == "cpu"
    for name in ("stranger_entry", "stranger_runtime"):
        sys.modules.pop(name, None)


def test_a_broken_third_party_takes_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, monkeypatch, "gone = no_such_module:ENTRY\nodd = json:dumps")
    assert set(broken_entries()) == {"gone", "odd"}
    assert any("'gone'" in problem for problem in installation_problems())
    assert parse_target("ort").runtime == "onnxruntime"
    with pytest.raises(BadInput, match="no runtime 'gone'"):
        parse_target("gone")

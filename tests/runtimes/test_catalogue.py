"""Targets as text, lazy runtimes, and runtimes of third parties."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgekit.core.errors import BadInput
from edgekit.core.target import Target
from edgekit.runtimes import probes, problems
from edgekit.runtimes.catalogue import (
    CATALOGUE,
    PREFERENCE,
    among,
    broken_entries,
    load_runtime,
    parse_target,
    parse_targets,
    preferred,
    takes_provider_options,
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
        ("ort:ep=qnn", Target("onnxruntime", "ep=QNN")),
        ("ort:ep=QNNExecutionProvider", Target("onnxruntime", "ep=QNN")),
        ("ort:ep=Acme", Target("onnxruntime", "ep=Acme")),
        ("ov", Target("openvino", "cpu")),
        ("openvino:gpu:0", Target("openvino", "gpu", 0)),
        ("ov:npu", Target("openvino", "npu")),
        ("tensorrt:cuda:0", Target("tensorrt", "cuda", 0)),
        ("trt", Target("tensorrt", "cuda")),
        ("engine", Target("tensorrt", "cuda")),
        ("tensorrt-rtx", Target("tensorrt-rtx", "cuda")),
        ("rtx:cuda:1", Target("tensorrt-rtx", "cuda", 1)),
        ("OpenVINO:CPU", Target("openvino", "cpu")),
        ("TRT:CUDA:0", Target("tensorrt", "cuda", 0)),
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


def test_the_order_names_every_target_of_ours_once() -> None:
    # Red where a runtime joins the catalogue and has no place in the order.
    ours = {str(one) for one in targets() if one.runtime in CATALOGUE}
    for order in PREFERENCE.values():
        assert sorted(order) == sorted(ours)


def test_on_arm_onnx_runtime_comes_before_openvino_and_on_x86_after() -> None:
    for machine, first in (("x86_64", "openvino:cpu"), ("aarch64", "onnxruntime:cpu")):
        cpus = [str(one) for one in preferred(machine) if one.device == "cpu"]
        assert cpus[0] == first


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cpu", {"onnxruntime:cpu", "openvino:cpu"}),
        ("CPU", {"onnxruntime:cpu", "openvino:cpu"}),
        ("npu", {"openvino:npu"}),
        ("cuda", {"tensorrt:cuda", "tensorrt-rtx:cuda", "onnxruntime:cuda"}),
        ("gpu", {"tensorrt:cuda", "tensorrt-rtx:cuda", "onnxruntime:cuda", "openvino:gpu"}),
        ("cuda:1", {"tensorrt:cuda:1", "tensorrt-rtx:cuda:1", "onnxruntime:cuda:1"}),
        ("ort:cuda:1", {"onnxruntime:cuda:1"}),
        ("all", {str(one) for one in targets()}),
    ],
)
def test_a_device_means_its_targets_in_the_fixed_order(text: str, meant: set[str]) -> None:
    found = [str(one) for one in parse_targets(text)]
    assert set(found) == meant
    order = [str(one) for one in preferred()]
    places = [order.index(one.removesuffix(":1")) for one in found]
    assert places == sorted(places)


def test_capitals_mean_the_same_beside_a_device_and_a_runtime() -> None:
    # "CPU" was taken and "OpenVINO" was not.
    for text in ("cpu", "openvino", "ort:cuda", "all"):
        assert parse_targets(text.upper()) == parse_targets(text)


@pytest.mark.parametrize("text", ["cpu:0", "cuda:one", "cuda:", "tpu", "all:0", ""])
def test_what_is_neither_a_target_nor_a_device_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_targets(text)
    assert text in caught.value.message


def test_a_device_picks_those_of_a_bundle_with_any_index() -> None:
    known = ("tensorrt:cuda:1", "openvino:cpu", "tensorrt:cuda:0")
    assert among("gpu", known) == ("tensorrt:cuda:1", "tensorrt:cuda:0")
    assert among("cuda:0", known) == ("tensorrt:cuda:0",)
    assert among("trt", known) == ("tensorrt:cuda:1", "tensorrt:cuda:0")
    assert among("all", known) == known
    assert among("openvino:npu", known) == ("openvino:npu",)


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
    subprocess.run([sys.executable, "-c", script], check=True)


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


def test_execution_providers_take_options_and_nothing_else_does() -> None:
    taking = ("ort:ep=QNN", "ort:cuda:0")
    others = ("ort:cpu", "ov:cpu", "ov:npu", "null")
    assert all(takes_provider_options(parse_target(text)) for text in taking)
    assert not any(takes_provider_options(parse_target(text)) for text in others)


def test_a_plugin_beside_onnxruntime_is_no_second_onnxruntime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = {"onnxruntime": "1.32.0", "onnxruntime-qnn": "2.7.0"}

    def found(names: Sequence[str]) -> dict[str, str]:
        return {name: versions[name] for name in names if name in versions}

    monkeypatch.setattr(problems, "installed", found)
    assert not [line for line in problems.installation_problems() if "overwrite" in line]
    versions["onnxruntime-qnn"] = "1.22.0"
    assert [line for line in problems.installation_problems() if "overwrite" in line]


def test_providers_are_probed_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "installed", lambda _: {"onnxruntime": "1.32.0"})
    monkeypatch.setattr(probes, "listed", lambda: ("Acme",))
    asked = {probe.target: probe for probe in probe_all(providers=True)}
    assert not asked["onnxruntime:ep=Acme"].usable
    assert "onnxruntime:ep=Acme" not in {probe.target for probe in probe_all()}

"""ONNX Runtime beyond the suite: what is saved, what is strict, what is missing."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import RuntimeConformance, conv_graph, qdq_graph, random, tensor, weights, write
from onnx import helper

from edgekit.benchmarks.certificate import check_placement
from edgekit.core.errors import BadInput, CheckFailed, MissingLibrary, Unavailable
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes import ort
from edgekit.runtimes.catalogue import parse_target
from edgekit.runtimes.ort import RUNTIME

CPU = Target("onnxruntime", "cpu")


class TestOnnxRuntimeCpu(RuntimeConformance):
    runtime = RUNTIME
    target = CPU


@pytest.mark.parametrize("make", [conv_graph, qdq_graph])
def test_the_saved_graph_runs_like_the_one_in_memory(tmp_path: Path, make: Any) -> None:
    import onnxruntime

    graph = make(tmp_path / "g.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    x = random(2, 16, 12, 12)
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        np.testing.assert_array_equal(session.run({"x": x})["y"], bare.run(None, {"x": x})[0])


def test_convolutions_inside_bodies_and_outside_are_saved_so_that_they_open(tmp_path: Path) -> None:
    # Red where the names of layout changes stood in a body and around it, and no reader took them.
    def convolution(source: str, result: str, weight: str = "w") -> Any:
        return helper.make_node("Conv", [source, weight], [result], pads=[1] * 4)

    branches = {
        "then_branch": helper.make_graph(
            [convolution("r", "t", "own")],
            "then",
            [],
            [tensor("t", [1, 8, 12, 12])],
            [weights("own", random(8, 8, 3, 3, seed=2))],
        ),
        "else_branch": helper.make_graph(
            [helper.make_node("Neg", ["r"], ["e"])], "else", [], [tensor("e", [1, 8, 12, 12])]
        ),
    }
    graph = write(
        tmp_path / "g.onnx",
        [
            convolution("x", "c", "first"),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("If", ["positive"], ["i"], **branches),
            convolution("i", "l"),
            helper.make_node("Relu", ["l"], ["m"]),
            helper.make_node("GlobalAveragePool", ["m"], ["y"]),
        ],
        [tensor("x", [1, 3, 12, 12]), tensor("positive", [], "bool")],
        [tensor("y", [1, 8, 1, 1])],
        [weights("first", random(8, 3, 3, 3)), weights("w", random(8, 8, 3, 3, seed=1))],
    )
    answers = {}
    for optimize in (True, False):
        folder = tmp_path / str(optimize)
        folder.mkdir()
        compiled = RUNTIME.compile(graph, CPU, CompileOptions(optimize=optimize), folder)
        with RUNTIME.open(compiled, folder) as session:
            feeds = {"x": random(1, 3, 12, 12), "positive": np.array(True)}
            answers[optimize] = session.run(feeds)["y"]
    np.testing.assert_allclose(answers[True], answers[False], rtol=1e-4, atol=1e-4)


def test_without_optimizations_every_node_runs_as_written(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    ops = {}
    for optimize in (True, False):
        folder = tmp_path / str(optimize)
        folder.mkdir()
        compiled = RUNTIME.compile(graph, CPU, CompileOptions(optimize=optimize), folder)
        with RUNTIME.open(compiled, folder) as session:
            ops[optimize] = [node.op for node in session.placement().nodes]
    assert ops[False] == ["Conv", "Relu"]
    assert "Relu" not in ops[True]


def test_an_fp16_graph_runs_in_fp32_on_a_cpu(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx", dtype="float16")
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.placement().executed_precision == "fp32"


def test_placement_tries_larger_sizes_where_one_does_not_run(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("AveragePool", ["x"], ["y"], "pool", kernel_shape=[7, 7])],
        [tensor("x", ["batch", 4, "height", "width"])],
        [tensor("y", ["batch", 4, "h", "w"])],
    )
    compiled = RUNTIME.compile(graph, CPU, CompileOptions(threads=1), tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert "AveragePool" in {node.op for node in session.placement().nodes}


def test_a_graph_that_it_refuses_is_named_with_its_node(tmp_path: Path) -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Nonsense", ["x"], ["y"], "odd", domain="nowhere")],
            "g",
            [tensor("x", [1])],
            [tensor("y", [1])],
        ),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)],
        ir_version=9,
    )
    (tmp_path / "g.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BadInput, match=r"refuses .*g\.onnx.*Nonsense") as caught:
        RUNTIME.compile(tmp_path / "g.onnx", CPU, CompileOptions(), tmp_path)
    assert "ONNXRuntimeError" not in str(caught.value)


def test_a_gpu_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    target = parse_target("ort:cuda:0")
    probe = RUNTIME.probe(target)
    if probe.usable:
        pytest.skip("this machine has one")
    with pytest.raises(Unavailable) as caught:
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), target, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3
    assert probe.reason in str(caught.value)
    assert probe.fix == caught.value.hint
    assert probe.fix


def test_onnxruntime_gpu_without_a_gpu_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ort, "installed", lambda _: {"onnxruntime-gpu": "1.31.1"})
    monkeypatch.setattr(ort, "_NVIDIA", tmp_path)
    monkeypatch.setattr(ort, "_JETSON", tmp_path / "none")
    target = Target("onnxruntime", "cuda", 0)
    assert "has no NVIDIA GPU" in RUNTIME.probe(target).reason
    information = tmp_path / "gpus" / "0000:01:00.0" / "information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t\t NVIDIA Thing\nIRQ: 1\n")
    assert RUNTIME.probe(target).usable
    assert RUNTIME.probe(target).device == "NVIDIA Thing | cuda"
    assert "has 1 NVIDIA GPU (" in RUNTIME.probe(Target("onnxruntime", "cuda", 1)).reason


def test_both_flavours_together_rule_cuda_out(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    monkeypatch.setattr(ort, "installed", lambda _: both)
    monkeypatch.setattr(ort, "no_gpu", lambda: False)
    probe = RUNTIME.probe(Target("onnxruntime", "cuda"))
    assert not probe.usable
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in probe.fix


@pytest.mark.parametrize("found", [{}, {"onnxruntime": "1.31.1"}])
def test_without_an_nvidia_gpu_no_package_for_one_is_advised(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, str]
) -> None:
    monkeypatch.setattr(ort, "installed", lambda _: found)
    monkeypatch.setattr(ort, "no_gpu", lambda: True)
    monkeypatch.setattr(ort, "_nvidia_gpus", list)
    monkeypatch.setattr(ort, "_JETSON", Path("/nowhere"))
    probe = RUNTIME.probe(Target("onnxruntime", "cuda"))
    assert "no NVIDIA GPU" in probe.reason
    assert "pip" not in probe.fix


def test_a_provider_that_this_build_has_not_is_unavailable(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    target = parse_target("ort:ep=Nowhere")
    with pytest.raises(Unavailable, match="no execution provider 'Nowhere'") as caught:
        RUNTIME.compile(graph, target, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3
    assert "no execution provider 'Nowhere'" in RUNTIME.probe(target).reason


def test_a_known_provider_that_is_not_here_comes_with_its_distribution() -> None:
    probe = RUNTIME.probe(parse_target("ort:ep=qnn"))
    if probe.usable:
        pytest.skip("this machine has one")
    assert (probe.target, probe.usable) == ("onnxruntime:ep=QNN", False)
    assert "onnxruntime-qnn" in probe.reason + probe.fix


def test_a_provider_by_name_runs(tmp_path: Path) -> None:
    target = parse_target("ort:ep=CPU")
    assert RUNTIME.probe(target).usable
    compiled = RUNTIME.compile(
        conv_graph(tmp_path / "g.onnx"), target, CompileOptions(threads=1), tmp_path
    )
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.run({"x": random(1, 16, 12, 12)})["y"].shape == (1, 32, 12, 12)
        assert session.placement().share_by_device() == {"ep=CPU": 1.0}


# The one provider of the ordinary wheel beside the CPU's takes no node of an ordinary graph.
AZURE = Target("onnxruntime", "ep=Azure")


@pytest.fixture
def azure() -> None:
    if not RUNTIME.probe(AZURE).usable:
        pytest.skip("this onnxruntime has no provider that leaves nodes to the CPU")


def test_nodes_left_to_the_cpu_are_a_failed_check_that_names_the_first(
    tmp_path: Path, azure: None
) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    with pytest.raises(CheckFailed, match="does not take the whole graph") as caught:
        RUNTIME.compile(graph, AZURE, CompileOptions(threads=1), tmp_path)
    assert caught.value.exit_status == 1
    assert "2 of 2 nodes are left to the CPU, 'conv' (Conv) first" in caught.value.message
    assert "dynamic axes (batch)" in caught.value.hint
    assert "--allow-fallback" in caught.value.hint


def test_a_fall_back_that_is_allowed_runs_and_fails_the_certificate(
    tmp_path: Path, azure: None
) -> None:
    options = CompileOptions(threads=1, allow_fallback=True)
    compiled = RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), AZURE, options, tmp_path)
    with RUNTIME.open(compiled, tmp_path) as session:
        assert session.run({"x": random(1, 16, 12, 12)})["y"].shape == (1, 32, 12, 12)
        placement = session.placement()
    assert placement.share_by_device() == {"cpu": 1.0}
    judge = {"devices": (AZURE.device,), "precision": "fp32", "compute": "fp32"}
    found = check_placement(placement, **judge)
    assert (found.verdict, found.value) == ("FAIL", 0.0)
    assert "100.0% of the arithmetic ran on cpu" in found.reason
    assert check_placement(placement, **judge, allow_fallback=True).verdict == "PASS"


class Sessions:
    """Stands in for onnxruntime.InferenceSession: notes how it is called, and opens a CPU one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *offered: str) -> None:
        import onnxruntime

        self.calls: list[dict[str, Any]] = []
        self.refusal = ""
        self.starts = True
        real = onnxruntime.InferenceSession

        def opened(path: str, settings: Any, *, providers: list[Any], **rest: Any) -> Any:
            strict = settings.get_session_config_entry("session.disable_cpu_ep_fallback")
            self.calls.append({"providers": providers, "strict": strict, **rest})
            if self.refusal:
                raise RuntimeError(self.refusal)
            if strict == "1" and not self.starts:
                raise RuntimeError("fallback to CPU EP has been explicitly disabled by the user.")
            settings.add_session_config_entry("session.disable_cpu_ep_fallback", "0")
            session = real(path, settings, providers=["CPUExecutionProvider"])
            if self.starts:
                names = [one if isinstance(one, str) else one[0] for one in providers]
                monkeypatch.setattr(session, "get_providers", lambda: names)
            return session

        def settings() -> Any:
            made = make()
            made.add_session_config_entry("session.disable_cpu_ep_fallback", "0")
            return made

        make = onnxruntime.SessionOptions
        monkeypatch.setattr(onnxruntime, "SessionOptions", settings)
        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)
        names = [*offered, "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "installed", lambda _: {"onnxruntime-gpu": "1.31.1"})
    monkeypatch.setattr(ort, "_nvidia_gpus", lambda: ["NVIDIA Thing", "NVIDIA Thing"])


def test_a_provider_gets_its_options_alone_and_strictly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(monkeypatch, "AcmeExecutionProvider")
    graph, target = conv_graph(tmp_path / "g.onnx"), parse_target("ort:ep=acme")
    pairs = (("cores", "2"), ("mode", "burst"))
    options = CompileOptions(threads=1, provider_options=pairs)
    RUNTIME.compile(graph, target, options, tmp_path)
    acme = ("AcmeExecutionProvider", {"cores": "2", "mode": "burst"})
    assert sessions.calls == [{"providers": [acme], "strict": "1", "enable_fallback": 0}]
    sessions.calls.clear()
    loose = CompileOptions(threads=1, provider_options=pairs, allow_fallback=True)
    RUNTIME.compile(graph, target, loose, tmp_path)
    assert sessions.calls == [
        {"providers": [acme, "CPUExecutionProvider"], "strict": "0", "enable_fallback": 0}
    ]


def test_cuda_is_as_strict_and_keeps_to_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: None
) -> None:
    sessions = Sessions(monkeypatch, "CUDAExecutionProvider")
    options = CompileOptions(threads=1, provider_options=(("cudnn_conv_algo_search", "DEFAULT"),))
    graph = conv_graph(tmp_path / "g.onnx")
    RUNTIME.compile(graph, parse_target("ort:cuda:1"), options, tmp_path)
    told = {"device_id": "1", "use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
    assert sessions.calls == [
        {"providers": [("CUDAExecutionProvider", told)], "strict": "1", "enable_fallback": 0}
    ]
    tf32 = CompileOptions(provider_options=(("use_tf32", "1"),))
    for text in ("ort:cuda:1", "ort:ep=CUDA"):
        with pytest.raises(BadInput, match="sets the provider option use_tf32 itself"):
            RUNTIME.compile(graph, parse_target(text), tf32, tmp_path)


def test_a_provider_that_does_not_start_is_unavailable_and_no_fall_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ONNX Runtime warns, goes on without the provider, and then finds every node on the CPU.
    sessions = Sessions(monkeypatch, "AcmeExecutionProvider")
    sessions.starts = False
    graph, target = conv_graph(tmp_path / "g.onnx"), parse_target("ort:ep=acme")
    for options in (CompileOptions(allow_fallback=True), CompileOptions()):
        with pytest.raises(Unavailable, match="could not start AcmeExecutionProvider"):
            RUNTIME.compile(graph, target, options, tmp_path)


def test_what_a_provider_refuses_is_said_with_the_options_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(monkeypatch, "QNNExecutionProvider")
    # The form in which onnxruntime 1.24.1 reports an option that OpenVINO's provider lacks.
    sessions.refusal = (
        "/onnxruntime/onnxruntime/python/onnxruntime_pybind_state.cc:1053 std::shared_ptr<Factory> "
        "onnxruntime::python::Create(const std::string&, const Options&) Invalid option: cors\n"
    )
    graph, target = conv_graph(tmp_path / "g.onnx"), parse_target("ort:ep=QNN")
    options = CompileOptions(provider_options=(("cors", "2"),))
    with pytest.raises(BadInput) as caught:
        RUNTIME.compile(graph, target, options, tmp_path)
    assert caught.value.message == (
        "onnxruntime:ep=QNN does not open the graph with cors=2: Invalid option: cors."
    )
    with pytest.raises(Unavailable, match="does not open the graph: Invalid") as refused:
        RUNTIME.compile(graph, target, CompileOptions(), tmp_path)
    assert "many providers take fixed shapes only" in refused.value.hint
    assert "QNN-ExecutionProvider.html" in refused.value.hint


def test_the_cpu_takes_no_provider_options(tmp_path: Path) -> None:
    options = CompileOptions(provider_options=(("a", "b"),))
    with pytest.raises(BadInput, match="takes no provider options, and a was given"):
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), CPU, options, tmp_path)


def test_a_missing_library_gives_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(ort, "installed", lambda _: {})
    probe = RUNTIME.probe(CPU)
    assert (probe.usable, probe.fix) == (False, "pip install 'edgekit[cpu]'")
    with pytest.raises(MissingLibrary, match=r"pip install 'edgekit\[cpu\]'") as caught:
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), CPU, CompileOptions(), tmp_path)
    assert caught.value.exit_status == 3


def test_files_that_another_flavour_took_away_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "files_present", lambda _: False)
    probe = RUNTIME.probe(CPU)
    assert not probe.usable
    assert "its files are gone" in probe.reason
    assert importlib.metadata.version("onnxruntime") in probe.reason

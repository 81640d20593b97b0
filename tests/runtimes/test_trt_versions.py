"""Every name that edgekit uses exists in TensorRT 10.3, 10.7, 10.13 and 11.4.

JetPack 6 brings 10.3, JetPack 7 10.13. The names were read from NVIDIA's own bindings; behind them,
TensorRT for RTX builds.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import conv_graph
from trt_cases import det_graph, make
from trt_fakes import FakeCuda, FakeEngine, fake_session
from trt_surface import SURFACES, Held, Module, real

from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.runtimes import trt_build
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.trt_build import Built, build_plan
from edgekit.runtimes.trt_library import ENGINES, Library, architectures, load_library
from edgekit.runtimes.trt_profiles import profiles_of
from edgekit.runtimes.trt_words import BuildLog, log_of

built = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'",
)


@pytest.fixture(params=SURFACES)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def library(version: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    """RTX with the names of a version of TensorRT; the architecture is set behind its back."""
    rtx = load_library("tensorrt-rtx", "to test")
    set_architectures = trt_build._set_architectures

    def behind(library: Library, config: Any, sm: Any) -> None:
        set_architectures(rtx, real(config), sm)

    monkeypatch.setattr(trt_build, "_set_architectures", behind)
    return Library(ENGINES["tensorrt"], Module(rtx.module, SURFACES[version]), version)


def build(library: Library, graph: Path, **options: Any) -> Built:
    facts = read_graph(graph, why="to test")
    chosen = CompileOptions(sm=(86,), **options)
    return build_plan(
        library, facts, chosen, profiles_of(facts, ()), timings=None, progress=Silent()
    )


def test_the_four_versions_are_there() -> None:
    assert {name.rpartition(".")[0] for name in SURFACES} >= {"10.3", "10.7", "10.13.3", "11.4.0"}


@built
def test_a_network_builds_with_profiles_and_a_workspace(tmp_path: Path, library: Library) -> None:
    made = build(library, conv_graph(tmp_path / "g.onnx"), workspace_bytes=1 << 30)
    assert len(made.plan) > 1000
    assert [layer.precision for layer in made.layers] == ["fp32", "fp32"]
    assert made.sizes["weights_bytes"]


@built
@pytest.mark.parametrize("name", ["attention", "casts"])
def test_other_layers_and_tf32_build(tmp_path: Path, library: Library, name: str) -> None:
    assert build(library, make(name, tmp_path), compute="tf32").plan


@built
@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")
def test_timings_are_read_and_written(tmp_path: Path, library: Library) -> None:
    facts = read_graph(conv_graph(tmp_path / "g.onnx"), why="to test")
    for _ in range(2):
        made = build_plan(
            library,
            facts,
            CompileOptions(sm=(86,)),
            profiles_of(facts, ()),
            timings=tmp_path / "timing.cache",
            progress=Silent(),
        )
        assert made.plan
        assert (tmp_path / "timing.cache").stat().st_size


@built
def test_what_the_parser_refuses_is_told(tmp_path: Path, library: Library) -> None:
    with pytest.raises(BadInput, match=r"'/head/Det' \(Det, in head\)"):
        build(library, det_graph(tmp_path / "g.onnx", "head"))


@built
@pytest.mark.parametrize("portable", ["version", "hardware"])
def test_portable_engines_are_asked_for(tmp_path: Path, library: Library, portable: Any) -> None:
    """RTX refuses both in the end; a name that is missing would be an AttributeError."""
    with pytest.raises((BadInput, Unavailable), match="--portable"):
        build(library, conv_graph(tmp_path / "g.onnx"), portable=(portable,))


@built
def test_no_version_of_tensorrt_builds_for_other_machines(version: str) -> None:
    rtx = load_library("tensorrt-rtx", "to test")
    assert architectures(rtx)
    assert not architectures(replace(rtx, module=Module(rtx.module, SURFACES[version])))


def test_what_is_subclassed_has_its_methods(version: str) -> None:
    surface = SURFACES[version]
    assert {"log", "Severity"} <= surface["ILogger"]
    assert {"INTERNAL_ERROR", "ERROR", "WARNING", "INFO"} <= surface["ILogger.Severity"]
    assert {"phase_start", "step_complete", "phase_finish"} <= surface["IProgressMonitor"]


def test_an_engine_runs_by_the_names_of_every_version(version: str) -> None:
    """Opened with a profile, bound, looped, timed, inspected, on an engine that is a stand-in."""
    surface = SURFACES[version]
    engine = Held(FakeEngine(profiles=2), "ICudaEngine", surface)

    class Words:
        LayerInformationFormat = type("Members", (), {"__members__": {}, "JSON": "json"})

    session = fake_session(engine, FakeCuda(), module=Module(Words, surface))
    x = np.ones((6, 4), np.float32)
    with session:
        np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x + 1)
        binding = session.bind({"x": x})
        binding.loop({"y": "x"})
        binding.run()
        np.testing.assert_array_equal(binding.outputs["y"], 2 * x + 1)
        assert binding.device_ns() > 0
        assert session.placement().nodes[0].precision == "fp16"


def test_an_engine_is_read_by_the_names_of_every_version(version: str) -> None:
    from edgekit.runtimes.trt_words import made

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            return None

    class Fake:
        class ILogger:
            pass

    Fake.Runtime = Runtime  # type: ignore[attr-defined]
    module = Module(Fake, SURFACES[version])
    log = BuildLog()
    runtime = made(module.Runtime, log_of(module, log), title="TensorRT", log=log)
    runtime.engine_host_code_allowed = True
    assert runtime.deserialize_cuda_engine(b"") is None

"""Engines built for GPUs that are not here, by the real builder of TensorRT for RTX."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conformance import BATCH, conv_graph, qdq_graph, random, tensor, weights, write
from onnx import helper
from trt_cases import CASES, PRODUCTS, det_graph, make

from edgekit.core.card import Axis, ModelCard, TensorCard
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Position, Silent
from edgekit.core.runtime import Compiled, CompileOptions
from edgekit.core.target import Target
from edgekit.export.metadata import write_card
from edgekit.runtimes import trt_build
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.trt import RUNTIME
from edgekit.runtimes.trt_build import Built, build_plan
from edgekit.runtimes.trt_engine import EngineRecord, read_record
from edgekit.runtimes.trt_library import Library, architectures, load_library
from edgekit.runtimes.trt_profiles import profiles_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'",
)

RTX = Target("tensorrt-rtx", "cuda")
# The parser writes a recurrent cell as matrix products in a loop.
PLANNED = {*PRODUCTS, "lstm", "gru"}


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library("tensorrt-rtx", "to test")


def compiled(graph: Path, folder: Path, **options: Any) -> Compiled:
    folder.mkdir(exist_ok=True)
    return RUNTIME.compile(graph, RTX, CompileOptions(**{"sm": (86,), **options}), folder)


def build(library: Library, graph: Path, *, timings: Path | None = None, **options: Any) -> Built:
    facts = read_graph(graph, why="to test")
    chosen = CompileOptions(**{"sm": (86,), **options})
    profiles = profiles_of(facts, chosen.profiles)
    return build_plan(library, facts, chosen, profiles, timings=timings, progress=Silent())


def record(graph: Path, folder: Path, **options: Any) -> EngineRecord:
    compiled(graph, folder, **options)
    return read_record(folder)


# What builds


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_layer_builds_in_fp32(tmp_path: Path, name: str) -> None:
    made = compiled(make(name, tmp_path), tmp_path / "e", sm=(80, 86, 120))
    assert made.planned == ({"fp32": 1.0} if name in PLANNED else {})
    assert made.device == "any GPU | sm80,sm86,sm120"
    assert made.memory["weights_bytes"] >= 0
    assert (tmp_path / "e" / made.engine).stat().st_size > 1000


@pytest.mark.filterwarnings("ignore")  # onnxruntime's own
@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in ("shapes", "pools", "top-k")]
)
def test_every_kind_of_layer_builds_in_fp16(tmp_path: Path, name: str) -> None:
    from edgekit.export.fp16 import write_fp16

    graph = make(name, tmp_path)
    try:
        write_fp16(graph, tmp_path / "fp16.onnx")
    except BadInput as error:
        pytest.skip(error.message)
    made = compiled(tmp_path / "fp16.onnx", tmp_path / "e")
    # The steps of a recurrent layer cannot be simulated in fp16, so the cast leaves it alone.
    kind = "fp32" if name in ("lstm", "gru") else "fp16"
    assert made.planned == ({kind: 1.0} if name in PLANNED else {})


@pytest.mark.filterwarnings("ignore")  # NNCF's own
@pytest.mark.parametrize(
    "name", ["convolution", "convolution-1d", "depthwise", "residual", "silu", "concat", "gemm"]
)
def test_what_edgekit_quantizes_for_tensorrt_builds_in_int8(tmp_path: Path, name: str) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed")
    from edgekit.export.quantize import calibrate, write_int8

    graph = make(name, tmp_path)
    shape = (1, *(size for size in read_graph(graph, why="to test").inputs[0].shape[1:]))
    feeds = [{"x": random(*shape, seed=at)} for at in range(4)]
    decisions = calibrate(graph, feeds, task="classification", record={}, sqnr_limit_db=0.0)
    write_int8(graph, decisions, "s8s8", tmp_path / "int8.onnx")
    made = record(tmp_path / "int8.onnx", tmp_path / "e")
    products = [layer.precision for layer in made.layers if layer.kind in trt_build.PRODUCTS]
    assert len(products) == PRODUCTS[name]
    assert set(products) == {"int8"}


def test_products_between_q_and_dq_alone_are_planned_in_int8(tmp_path: Path) -> None:
    """A second convolution that nothing quantizes stays what it is."""
    kernel = random(8, 8, 1, 1)
    graph = write(
        tmp_path / "g.onnx",
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], "dq"),
            helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], "dqw", axis=0),
            helper.make_node("Conv", ["d", "wd"], ["c"], "quantized"),
            helper.make_node("Conv", ["c", "w"], ["y"], "float"),
        ],
        [tensor("x", [BATCH, 8, 4, 4])],
        [tensor("y", [BATCH, 8, 4, 4])],
        [
            weights("s", np.float32(0.1)),
            weights("z", np.int8(0)),
            weights("wq", np.clip(kernel * 30, -127, 127).astype(np.int8)),
            weights("ws", np.full(8, 1 / 30, np.float32)),
            weights("wz", np.zeros(8, np.int8)),
            weights("w", kernel),
        ],
    )
    made = record(graph, tmp_path / "e")
    planned = {layer.name: layer.precision for layer in made.layers}
    assert planned["quantized"] == "int8"
    assert planned["float"] == "fp32"


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "int8", "bool"])
def test_inputs_and_outputs_of_every_dtype_build(tmp_path: Path, dtype: str) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Concat", ["x", "x"], ["y"], "concat", axis=1)],
        [tensor("x", [BATCH, 3], dtype)],
        [tensor("y", [BATCH, 6], dtype)],
    )
    compiled(graph, tmp_path / "e")


def test_an_input_that_nothing_reads_does_not_stop_a_build(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Relu", ["x"], ["y"], "relu")],
        [tensor("x", [BATCH, 6]), tensor("unread", [BATCH, 6])],
        [tensor("y", [BATCH, 6])],
    )
    compiled(graph, tmp_path / "e")


def test_weights_beside_the_graph_are_read_and_two_profiles_are_built(tmp_path: Path) -> None:
    graph = conv_graph(tmp_path / "g.onnx")
    model = onnx.load(str(graph))
    onnx.save(model, str(graph), save_as_external_data=True, location="g.data", size_threshold=0)
    shapes = [tuple((batch, 16, 12, 12) for batch in row) for row in ((1, 1, 2), (4, 8, 16))]
    made = record(graph, tmp_path / "e", profiles=tuple({"x": three} for three in shapes))
    assert [profile["x"] for profile in made.profiles] == shapes


def test_a_static_graph_has_no_profile_and_takes_less_memory(tmp_path: Path) -> None:
    dynamic = conv_graph(tmp_path / "d.onnx")
    model = onnx.load(str(dynamic))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, str(tmp_path / "s.onnx"))
    one, other = compiled(tmp_path / "s.onnx", tmp_path / "s"), compiled(dynamic, tmp_path / "e")
    assert read_record(tmp_path / "s").profiles == ()
    assert read_record(tmp_path / "e").profiles[0]["x"][2][0] == 8
    assert one.memory["activations_bytes"] <= other.memory["activations_bytes"]


def test_tf32_is_off_unless_it_is_asked_for(tmp_path: Path, library: Library) -> None:
    seen = {}

    class Config:
        def __init__(self) -> None:
            self.flags = {"TF32"}

        def set_flag(self, flag: Any) -> None:
            self.flags = {*self.flags, flag.name}

        def clear_flag(self, flag: Any) -> None:
            self.flags = self.flags - {flag.name}

    class Builder:
        def create_builder_config(self) -> Config:
            return Config()

    for compute in ("fp32", "tf32"):
        options = CompileOptions(compute=compute)
        made = trt_build._config(library, Builder(), None, options, (), None, trt_build.BuildLog())
        seen[compute] = made.flags
    assert seen == {"fp32": set(), "tf32": {"TF32"}}


def test_progress_hears_of_the_phases_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stages: list[str] = []

    class Listener(Silent):
        def stage(self, name: str, position: Position | None = None) -> None:
            stages.append(name)

    (tmp_path / "e").mkdir()
    RUNTIME.build(
        make("attention", tmp_path),
        RTX,
        CompileOptions(sm=(86,)),
        tmp_path / "e",
        progress=Listener(),
        kept=tmp_path / "kept",
    )
    assert stages
    assert all("steps)" in stage for stage in stages)
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "kept").exists()


# What does not


@pytest.mark.parametrize(("module", "words"), [("", "(Det)"), ("head.box", "(Det, in head.box)")])
def test_an_operator_that_tensorrt_lacks_is_named_with_its_module(
    tmp_path: Path, module: str, words: str
) -> None:
    graph = det_graph(tmp_path / "g.onnx", module)
    with pytest.raises(BadInput) as caught:
        compiled(graph, tmp_path / "e")
    assert f"does not take the node '/head/Det' {words} of {graph}" in caught.value.message
    assert "onnxruntime:cuda" in caught.value.hint
    assert list((tmp_path / "e").iterdir()) == []


def test_a_missing_plugin_is_told_without_words_of_c(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("NonZero", ["x"], ["y"], "nonzero")],
        [tensor("x", [6])],
        [tensor("y", [1, "found"], "int64")],
    )
    with pytest.raises(BadInput, match="'nonzero' .NonZero. .*: NonZero plugin creator") as caught:
        compiled(graph, tmp_path / "e")
    assert "Assertion" not in caught.value.message


@pytest.mark.parametrize("dtype", ["float64", "int16", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("side", ["input", "output"])
def test_dtypes_that_tensorrt_would_turn_into_others_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], dtype: str, side: str
) -> None:
    """float64 becomes float32 in the engine, whose buffers would be half as long as ours."""
    types = {"input": ("float32", dtype), "output": (dtype, "float32")}
    made, read = types[side]
    to = helper.np_dtype_to_tensor_dtype(np.dtype(made))
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Cast", ["x"], ["y"], "cast", to=to)],
        [tensor("x", [BATCH, 3], read)],
        [tensor("y", [BATCH, 3], made)],
    )
    name = "x" if side == "input" else "y"
    with pytest.raises(BadInput, match=f"has no {dtype}, the dtype of the {side} '{name}'"):
        compiled(graph, tmp_path / "e")
    assert capfd.readouterr() == ("", "")


def test_an_input_whose_values_are_a_shape_is_refused(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Reshape", ["x", "size"], ["y"], "reshape")],
        [tensor("x", [2, 6]), tensor("size", [2], "int64")],
        [tensor("y", ["a", "b"])],
    )
    with pytest.raises(BadInput, match="values of the input 'size' .* decide the shapes"):
        compiled(graph, tmp_path / "e")


def test_the_dialect_for_cpus_is_refused_with_both_remedies(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'q_in' \(QuantizeLinear\).*zero point") as caught:
        compiled(qdq_graph(tmp_path / "g.onnx"), tmp_path / "e")
    assert "--dialect s8s8" in caught.value.hint
    assert "--mend-qdq" in caught.value.hint


def test_a_quantized_bias_is_called_what_it_is(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [
            helper.make_node("DequantizeLinear", ["bq", "s"], ["b"], "dq_bias"),
            helper.make_node("Add", ["x", "b"], ["y"], "add"),
        ],
        [tensor("x", [BATCH, 8])],
        [tensor("y", [BATCH, 8])],
        [weights("bq", np.arange(8, dtype=np.int32)), weights("s", np.float32(0.1))],
    )
    with pytest.raises(BadInput) as caught:
        compiled(graph, tmp_path / "e")
    assert "'dq_bias' (DequantizeLinear)" in caught.value.message
    assert "a quantized bias as ONNX Runtime's quantizer writes it" in caught.value.message
    assert "\n" not in caught.value.message


def test_architectures_it_does_not_know_are_refused_with_those_it_does(
    tmp_path: Path, library: Library
) -> None:
    assert {75, 80, 86, 89, 120} <= set(architectures(library))
    with pytest.raises(BadInput, match="does not know SM 90") as caught:
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", sm=(86, 90))
    assert "75, 80, 86, 89, 120" in caught.value.hint


def test_what_an_architecture_cannot_compute_is_told_by_layer(tmp_path: Path) -> None:
    """TensorRT for RTX has no fp32 matrix products for Turing."""
    with pytest.raises(BadInput, match="cannot compute 'fc' of .* on SM 75: FP32 GEMM") as caught:
        compiled(make("gemm", tmp_path), tmp_path / "e", sm=(75, 86))
    assert "Leave 75 out of --sm" in caught.value.hint


def test_a_library_without_cross_compilation_says_so(tmp_path: Path, library: Library) -> None:
    class Module:
        def __getattr__(self, name: str) -> Any:
            if name == "ComputeCapability":
                raise AttributeError(name)
            return getattr(library.module, name)

    with pytest.raises(BadInput, match="builds for the GPU of this machine only"):
        build(replace(library, module=Module()), conv_graph(tmp_path / "g.onnx"))


def test_newer_versions_need_the_lean_runtime_and_the_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="--portable version .*libnvinfer_lean"):
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", portable=("version",))


def test_newer_hardware_is_refused_where_the_library_ignores_it(tmp_path: Path) -> None:
    """RTX only warns, and builds an engine that `open` would take on any newer GPU."""
    with pytest.raises(BadInput, match="--portable hardware") as caught:
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", portable=("hardware",))
    assert "--sm 86,89,120" in caught.value.hint


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": ((1, 16, 12, 12), (1, 16, 12, 12), (4, 8, 12, 12))}, "4x8x12x12 does not fit"),
        ({"x": ((1, 16), (1, 16), (4, 16))}, "1x16 does not fit"),
        ({"x": ((4, 16, 12, 12), (1, 16, 12, 12), (8, 16, 12, 12))}, "do not ascend"),
        ({"other": ((1,), (1,), (1,))}, "'x' of .* has no shape in --shapes"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(tmp_path: Path, shapes: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", profiles=(shapes,))


def test_an_axis_that_nobody_bounds_is_named(tmp_path: Path) -> None:
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Relu", ["x"], ["y"], "relu")],
        [tensor("x", [BATCH, 3, "height", 8])],
        [tensor("y", [BATCH, 3, "height", 8])],
    )
    with pytest.raises(BadInput, match="how large the axis 'height' of the input 'x'") as caught:
        compiled(graph, tmp_path / "e")
    assert "--shapes x=MIN:TYPICAL:MAX" in caught.value.hint
    compiled(graph, tmp_path / "e", profiles=({"x": ((1, 3, 1, 8), (1, 3, 8, 8), (2, 3, 9, 8))},))


def test_a_damaged_file_and_an_impossible_option_are_refused(tmp_path: Path) -> None:
    whole = conv_graph(tmp_path / "g.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"cut\.onnx is not an ONNX file, or it is damaged"):
        compiled(tmp_path / "cut.onnx", tmp_path / "e")
    with pytest.raises(BadInput, match="cannot switch its graph optimizations off"):
        compiled(tmp_path / "g.onnx", tmp_path / "e", optimize=False)


def test_fp16_is_no_option_of_the_engine(tmp_path: Path) -> None:
    """Types are the graph's: an fp32 graph asked for in fp16 would quietly stay fp32."""
    with pytest.raises(BadInput, match="has nothing in fp16") as caught:
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", compute="fp16")
    assert "edgekit quantize --precision fp16" in caught.value.hint
    half = conv_graph(tmp_path / "h.onnx", dtype="float16")
    assert compiled(half, tmp_path / "h", compute="fp16").planned == {"fp16": 1.0}


# Memory


class Failing:
    """A module of TensorRT whose builds fail at first, as if memory had run out.

    Attributes:
        workspaces: Limit of every attempt, bytes; None where there was none.
    """

    SAYS = "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory (Requested"

    def __init__(self, module: Any, times: int, says: str = SAYS) -> None:
        self.module, self.times, self.says = module, times, says
        self.workspaces: list[int | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def Builder(self, logger: Any) -> Any:
        failing = self
        real = self.module.Builder(logger)

        class Builder:
            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def build_serialized_network(self, network: Any, config: Any) -> Any:
                pool = failing.module.MemoryPoolType.WORKSPACE
                limit = config.get_memory_pool_limit(pool)
                failing.workspaces.append(limit if limit < 1 << 40 else None)
                if len(failing.workspaces) <= failing.times:
                    logger.log(failing.module.ILogger.Severity.ERROR, failing.says)
                    return None
                return real.build_serialized_network(network, config)

        return Builder()


MIB = 1 << 20


def test_a_build_that_runs_out_of_memory_is_tried_with_a_quarter(
    tmp_path: Path, library: Library
) -> None:
    failing = Failing(library.module, times=2)
    made = build(
        replace(library, module=failing),
        conv_graph(tmp_path / "g.onnx"),
        workspace_bytes=4096 * MIB,
    )
    assert failing.workspaces == [4096 * MIB, 1024 * MIB, 256 * MIB]
    assert [words.rpartition(" of ")[2] for words in made.attempts] == ["1024 MiB.", "256 MiB."]
    assert made.plan


def test_without_a_limit_the_ladder_begins_at_a_gibibyte(tmp_path: Path, library: Library) -> None:
    failing = Failing(library.module, times=1)
    build(replace(library, module=failing), conv_graph(tmp_path / "g.onnx"))
    assert failing.workspaces[1:] == [1024 * MIB]


def test_at_last_memory_that_is_not_there_is_unavailable(tmp_path: Path, library: Library) -> None:
    """The sentence names what was really tried last."""
    failing = Failing(library.module, times=99)
    heard: list[str] = []

    class Listener(Silent):
        def note(self, message: str) -> None:
            heard.append(message)

    facts = read_graph(conv_graph(tmp_path / "g.onnx"), why="to test")
    with pytest.raises(Unavailable, match="ran out of memory.*workspace of 64 MiB") as caught:
        build_plan(
            replace(library, module=failing),
            facts,
            CompileOptions(sm=(86,)),
            profiles_of(facts, ()),
            timings=None,
            progress=Listener(),
        )
    assert failing.workspaces[1:] == [1024 * MIB, 256 * MIB, 64 * MIB]
    assert len(heard) == 3
    assert "--shapes" in caught.value.hint


def test_other_errors_are_not_tried_again(tmp_path: Path, library: Library) -> None:
    failing = Failing(library.module, times=99, says="Error Code 10: Internal Error (no kernel)")
    with pytest.raises(BadInput, match="no kernel"):
        build(replace(library, module=failing), conv_graph(tmp_path / "g.onnx"))
    assert len(failing.workspaces) == 1


def test_a_workspace_that_is_too_small_is_no_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="workspace of 1 MiB: a layer needs more") as caught:
        compiled(conv_graph(tmp_path / "g.onnx"), tmp_path / "e", workspace_bytes=1)
    assert "--workspace" in caught.value.hint


def test_a_ladder_that_ends_in_a_workspace_too_small_is_a_lack_of_memory(
    tmp_path: Path, library: Library
) -> None:
    failing = Failing(library.module, times=1)
    with pytest.raises(Unavailable, match="ran out of memory"):
        build(
            replace(library, module=failing), conv_graph(tmp_path / "g.onnx"), workspace_bytes=4096
        )
    assert failing.workspaces == [4096, 1024]


def test_a_library_that_does_not_start_is_unavailable(tmp_path: Path, library: Library) -> None:
    """TensorRT's bindings raise TypeError where the library returns no builder (no GPU)."""

    class Module:
        def __getattr__(self, name: str) -> Any:
            return getattr(library.module, name)

        def Builder(self, logger: Any) -> Any:
            error = self.ILogger.Severity.INTERNAL_ERROR
            logger.log(error, "[checkMacros.cpp::catchCudaError::250] no CUDA-capable device")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    with pytest.raises(Unavailable, match="does not start here: .*no CUDA-capable device"):
        build(replace(library, module=Module()), conv_graph(tmp_path / "g.onnx"))


# Timings


@pytest.fixture
def counted(library: Library) -> Iterator[tuple[Library, list[int]]]:
    """The library, and the size of every timing cache that it was given."""
    sizes: list[int] = []
    real = trt_build._read_timings

    def read(config: Any, file: Path | None) -> Any:
        sizes.append(file.stat().st_size if file and file.is_file() else -1)
        return real(config, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trt_build, "_read_timings", read)
        yield library, sizes


# RTX takes the calls, does nothing and says so.
@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops:DeprecationWarning")
def test_timings_are_kept_and_a_damaged_file_counts_as_none(
    tmp_path: Path, counted: tuple[Library, list[int]]
) -> None:
    library, sizes = counted
    graph = conv_graph(tmp_path / "g.onnx")
    timings = tmp_path / "new" / "timing.cache"
    for content in (None, b"", b"junk" * 50):
        if content is not None:
            timings.write_bytes(content)
        build(library, graph, timings=timings)
        whole = timings.read_bytes()
        assert len(whole) > 8
        assert whole[:4] != b"junk"
    timings.write_bytes(whole[: len(whole) // 2])
    build(library, graph, timings=timings)
    assert timings.read_bytes() == whole
    assert sizes[0] == -1
    assert build(library, graph).plan


def test_an_axis_that_follows_from_another_gets_the_range_that_follows(tmp_path: Path) -> None:
    """A card gave the range of `past` only, and `past + 1` was an axis that nobody bounds."""
    graph = write(
        tmp_path / "g.onnx",
        [helper.make_node("Concat", ["x", "m"], ["y"], "concat", axis=1)],
        [tensor("x", [1, "past"]), tensor("m", [1, "past + 1"])],
        [tensor("y", [1, "y_1"])],
    )
    past = Axis("past", min=1, typical=4, max=16)
    card = ModelCard(
        inputs={"x": TensorCard(shape=(1, past)), "m": TensorCard(shape=(1, "past + 1"))}
    )
    write_card(graph, card)
    (profile,) = profiles_of(read_graph(graph, why="to test"), ())
    assert profile == {"x": ((1, 1), (1, 4), (1, 16)), "m": ((1, 2), (1, 5), (1, 17))}

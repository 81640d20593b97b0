"""What is checked before an engine of TensorRT is deserialized, and what a target offers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from conformance import conv_graph

from edgekit.core.documents import Gpu
from edgekit.core.errors import BadInput, MissingLibrary, Unavailable
from edgekit.core.files import sha256_file
from edgekit.core.runtime import Compiled, CompileOptions, TensorInfo
from edgekit.core.target import Target
from edgekit.runtimes import trt
from edgekit.runtimes.engines import Tensors, content_of
from edgekit.runtimes.trt import RUNTIME
from edgekit.runtimes.trt_build import Built, BuiltLayer
from edgekit.runtimes.trt_engine import (
    EngineRecord,
    check_engine,
    engine_device,
    planned,
    read_record,
    write_record,
)
from edgekit.runtimes.trt_inspector import placement_of
from edgekit.runtimes.trt_library import NvidiaEngine

TRT, RTX = Target("tensorrt", "cuda"), Target("tensorrt-rtx", "cuda")
ORIN = Gpu(index=0, name="Orin", sm=87)
ADA = Gpu(index=0, name="NVIDIA GeForce RTX 4090", sm=89, driver="580.82.07")


@pytest.fixture
def engine(tmp_path: Path) -> tuple[Compiled, Path]:
    """An engine that TensorRT 10.3 built on an Orin, and its folder."""
    path = tmp_path / "engine.plan"
    path.write_bytes(b"native code and pointers" * 10)
    compiled = Compiled(
        target="tensorrt:cuda",
        engine="engine.plan",
        graph_sha256="0" * 64,
        engine_sha256=sha256_file(path),
        runtime_version="10.3.0.30",
        device="Orin | L4T 36.4.7 | sm87",
        options=CompileOptions(),
        compile_ns=1,
    )
    built = Built(b"", (BuiltLayer("c", "CONVOLUTION", "fp16"),), (), {"weights_bytes": 5}, (), ())
    write_record(tmp_path, built, title="TensorRT 10.3.0.30")
    tensors = msgspec.json.encode(Tensors(inputs=(), outputs=(TensorInfo("y", "float32", (1,)),)))
    (tmp_path / "tensors.json").write_bytes(tensors)
    return compiled, tmp_path


def check(
    made: tuple[Compiled, Path], *, version: str = "10.3.0.30", gpu: Gpu = ORIN, **change: Any
) -> Path:
    compiled, folder = made
    changed = msgspec.structs.replace(compiled, **change)
    path = check_engine(changed, folder, read_record(folder), version=version, gpu=gpu)
    assert content_of(path, changed) == path.read_bytes()
    return path


def test_an_engine_of_this_version_and_gpu_is_taken(engine: tuple[Compiled, Path]) -> None:
    assert check(engine) == engine[1] / "engine.plan"
    assert read_record(engine[1]).sizes == {"weights_bytes": 5}


@pytest.mark.parametrize(
    ("version", "gpu", "message"),
    [
        ("10.13.3.9", ADA, "built by TensorRT 10.3.0.30 for SM 8.7; this is 10.13.3.9 on SM 8.9"),
        ("10.3.0.30", ADA, "for SM 8.7; this is 10.3.0.30 on SM 8.9"),
        ("10.3.0.31", ORIN, "this is 10.3.0.31 on SM 8.7"),
        ("10.3.0.30", Gpu(index=0, name="?"), "this is 10.3.0.30 on SM ?."),
    ],
)
def test_another_version_or_gpu_is_told_in_one_sentence(
    engine: tuple[Compiled, Path], version: str, gpu: Gpu, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        check(engine, version=version, gpu=gpu)
    assert message in caught.value.message
    assert caught.value.hint == "Compile it again for tensorrt:cuda."


def test_a_driver_that_does_not_tell_the_architecture_runs_what_it_built(
    engine: tuple[Compiled, Path],
) -> None:
    old = Gpu(index=0, name="Old GPU", driver="450.1")
    check(engine, gpu=old, device=trt._identity(old))
    with pytest.raises(BadInput, match=r"for SM \?; this is"):
        check(engine, gpu=msgspec.structs.replace(old, name="Other"), device=trt._identity(old))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_byte_is_told(engine: tuple[Compiled, Path], place: int) -> None:
    path = engine[1] / "engine.plan"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is damaged: its sha256"):
        check(engine)


@pytest.mark.parametrize("name", ["other.plan", "../engine.plan", "/etc/hostname", "", ".", ".."])
def test_an_engine_that_is_not_in_its_folder_is_missing(
    engine: tuple[Compiled, Path], name: str
) -> None:
    (engine[1].parent / "engine.plan").write_bytes(b"outside")
    with pytest.raises(BadInput, match="is missing"):
        check(engine, engine=name)


def test_engines_for_several_architectures_fit_each_of_them(engine: tuple[Compiled, Path]) -> None:
    device = engine_device((86, 89))
    assert device == "any GPU | sm86,sm89"
    for sm in (86, 89):
        check(engine, device=device, gpu=Gpu(index=0, name="GPU", sm=sm))
    for sm in (8, 87, 120):
        with pytest.raises(BadInput, match=r"for SM 8\.6 and 8\.9; this is"):
            check(engine, device=device, gpu=Gpu(index=0, name="GPU", sm=sm))


@pytest.mark.parametrize(
    ("portable", "version", "sm", "fits"),
    [
        (("version",), "10.13.3.9", 87, True),
        (("version",), "11.4.0.106", 87, False),
        (("version",), "10.0.1", 87, False),
        (("version",), "10.13.3.9", 89, False),
        (("hardware",), "10.3.0.30", 120, True),
        (("hardware",), "10.3.0.30", 75, False),
        (("hardware",), "10.13.3.9", 89, False),
        (("hardware", "version"), "10.13.3.9", 89, True),
    ],
)
def test_portable_engines_go_where_they_were_built_to_go(
    engine: tuple[Compiled, Path], portable: Any, version: str, sm: int, fits: bool
) -> None:
    options = CompileOptions(portable=portable)
    gpu = Gpu(index=0, name="GPU", sm=sm)
    if fits:
        assert check(engine, version=version, gpu=gpu, options=options)
        return
    with pytest.raises(BadInput, match="was built by"):
        check(engine, version=version, gpu=gpu, options=options)


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"builder": 1}', b"\xff\xfe", b"[]"])
def test_a_record_that_is_missing_or_damaged_is_told(
    engine: tuple[Compiled, Path], content: bytes | None
) -> None:
    path = engine[1] / "build.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(BadInput, match=r"build\.json (is|cannot be read)"):
        read_record(engine[1])


def test_the_planned_precision_is_that_of_the_products() -> None:
    kinds = [("CONVOLUTION", "int8")] * 3 + [("MATRIX_MULTIPLY", "fp32"), ("ACTIVATION", "fp32")]
    layers = tuple(BuiltLayer(str(at), *one) for at, one in enumerate(kinds))
    built = Built(b"", layers, (), {}, (), ())
    assert planned(built) == {"int8": 0.75, "fp32": 0.25}
    assert list(planned(built)) == ["int8", "fp32"]


# Opening


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A board with TensorRT 10.3, whose library notes what it is asked to deserialize."""
    state = SimpleNamespace(gpus=(ORIN,), version="10.3.0.30", deserialized=[])

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> None:
            state.deserialized.append((plan, self.engine_host_code_allowed))

    class Logger:
        pass

    module = SimpleNamespace(Runtime=Runtime, ILogger=Logger, __version__="10.3.0.30")
    monkeypatch.setattr(trt, "_gpus", lambda: state.gpus)
    monkeypatch.setattr(trt, "no_gpu", lambda: not state.gpus)
    monkeypatch.setattr(NvidiaEngine, "version", lambda self: state.version)
    monkeypatch.setattr(NvidiaEngine, "present", lambda self: bool(state.version))
    monkeypatch.setattr(
        trt, "load_library", lambda *_: trt.Library(trt.ENGINES["tensorrt"], module, state.version)
    )
    monkeypatch.setattr(
        trt, "Cuda", lambda index, extra: SimpleNamespace(index=index, memory=lambda: (7, 8))
    )
    return state


def test_what_the_library_does_not_read_is_told(
    engine: tuple[Compiled, Path], machine: SimpleNamespace
) -> None:
    with pytest.raises(BadInput, match="TensorRT 10.3.0.30 does not read .*engine.plan") as caught:
        RUNTIME.open(*engine)
    assert caught.value.hint == "Compile it again for tensorrt:cuda."
    assert machine.deserialized == [((engine[1] / "engine.plan").read_bytes(), False)]


def test_code_inside_an_engine_runs_only_where_it_was_asked_for(
    engine: tuple[Compiled, Path], machine: SimpleNamespace
) -> None:
    compiled = msgspec.structs.replace(engine[0], options=CompileOptions(portable=("version",)))
    with pytest.raises(BadInput, match="does not read"):
        RUNTIME.open(compiled, engine[1])
    assert machine.deserialized[0][1] is True


@pytest.mark.parametrize(
    "fault", ["missing", "damaged", "version", "gpu", "slash", "record", "tensors", "gone"]
)
def test_nothing_else_is_ever_deserialized(
    engine: tuple[Compiled, Path], machine: SimpleNamespace, fault: str
) -> None:
    compiled, folder = engine
    plan = folder / "engine.plan"
    if fault == "missing":
        plan.unlink()
    elif fault == "damaged":
        plan.write_bytes(plan.read_bytes()[:-1])
    elif fault == "version":
        compiled = msgspec.structs.replace(compiled, runtime_version="10.7.0")
    elif fault == "gpu":
        machine.gpus = (ADA,)
    elif fault == "slash":
        compiled = msgspec.structs.replace(compiled, engine=f"../{folder.name}/engine.plan")
    elif fault in ("record", "tensors"):
        name = "build.json" if fault == "record" else "tensors.json"
        (folder / name).write_bytes(b"junk")
    else:
        machine.gpus = ()
    with pytest.raises(Unavailable if fault == "gone" else BadInput):
        RUNTIME.open(compiled, folder)
    assert machine.deserialized == []


# Probing


def probe(machine: SimpleNamespace, target: Target = TRT) -> Any:
    made = RUNTIME.probe(target)
    assert made.usable == (not made.reason) == (not made.fix)
    assert made.dialect == "s8s8"
    assert made.typed
    return made


def test_a_gpu_is_told_with_driver_and_architecture(machine: SimpleNamespace) -> None:
    machine.gpus = (ADA,)
    made = probe(machine)
    assert made.usable
    assert made.device == "NVIDIA GeForce RTX 4090 | driver 580.82.07 | sm89"
    assert made.version == "10.3.0.30"


def test_without_the_library_the_command_is_told(machine: SimpleNamespace, tmp_path: Path) -> None:
    machine.version = ""
    made = probe(machine)
    assert made.reason == "TensorRT is not installed."
    assert "pip install tensorrt" in made.fix
    assert made.device == ""
    assert RUNTIME.probe_build(RTX, (86,)).reason == "TensorRT for RTX is not installed."


def test_without_a_gpu_no_package_is_advised(machine: SimpleNamespace) -> None:
    # Red where a missing library is told first: pip install tensorrt on a machine of Intel's.
    machine.version, machine.gpus = "", ()
    for target in (TRT, RTX):
        made = probe(machine, target)
        assert "no NVIDIA GPU" in made.reason
        assert "pip install" not in made.fix


def test_without_the_library_nobody_asks_for_a_gpu(
    machine: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.version = ""
    monkeypatch.setattr(trt, "_gpus", lambda: pytest.fail("nvidia-smi was asked"))
    assert not probe(machine).usable


def test_compiling_without_the_library_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(NvidiaEngine, "version", lambda self: "")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(MissingLibrary, match="tensorrt_rtx"):
        RUNTIME.compile(conv_graph(tmp_path / "g.onnx"), RTX, CompileOptions(sm=(86,)), tmp_path)


@pytest.mark.parametrize("version", ["8.6.2", "9.3.0"])
def test_a_library_that_is_too_old_is_told(machine: SimpleNamespace, version: str) -> None:
    machine.version = version
    made = probe(machine)
    assert made.reason == f"TensorRT {version} is older than 10.0."
    assert "JetPack 6.1" in made.fix


def test_without_a_gpu_rtx_still_builds(machine: SimpleNamespace) -> None:
    machine.gpus = ()
    assert "no NVIDIA GPU" in probe(machine).reason
    assert "--sm" not in probe(machine).fix
    assert "edgekit compile --sm" in probe(machine, RTX).fix
    assert RUNTIME.probe_build(RTX, (86,)).usable
    assert RUNTIME.probe_build(RTX, (86, 120)).device == "any GPU | sm86,sm120"


def test_an_index_that_is_not_there_is_told_with_those_that_are(machine: SimpleNamespace) -> None:
    machine.gpus = (ADA, msgspec.structs.replace(ADA, index=1))
    assert probe(machine, Target("tensorrt", "cuda", 1)).usable
    made = probe(machine, Target("tensorrt", "cuda", 2))
    assert made.reason == "There is no GPU 2: this machine has 2."
    assert made.fix == "Choose one of 0, 1."
    with pytest.raises(Unavailable, match="no GPU 2"):
        RUNTIME.compile(Path("g.onnx"), Target("tensorrt", "cuda", 2), CompileOptions(), Path("e"))


def test_an_architecture_that_it_has_no_kernels_for_is_told(machine: SimpleNamespace) -> None:
    machine.gpus = (Gpu(index=0, name="NVIDIA H100", sm=90, driver="580.82.07"),)
    machine.version = "1.7.1.116"
    made = probe(machine, RTX)
    assert "does not support the compute capability 9.0 of NVIDIA H100" in made.reason
    assert made.fix == "Use tensorrt:cuda."


# Placement


@pytest.mark.parametrize(
    ("said", "precision"),
    [
        ({"Format/Datatype": "Row major linear FP32"}, "fp32"),
        ({"Format/Datatype": "FP16 NHWC8"}, "fp16"),
        ({"Datatype": "Half"}, "fp16"),
        ({"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}, "int8"),
        ({"Datatype": "BFloat16"}, "bf16"),
        ({"Format/Datatype": "N/A due to dynamic shapes"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_layer_computes_in_what_it_reads_first(said: dict[str, str], precision: str) -> None:
    layer = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [said], "Outputs": []}
    text = msgspec.json.encode({"Layers": [layer], "Bindings": []}).decode()
    (node,) = placement_of(text).nodes
    assert (node.name, node.op, node.device, node.precision) == (
        "conv",
        "CaskConvolution",
        "gpu",
        precision,
    )


def test_an_engine_without_details_names_its_layers_only() -> None:
    placement = placement_of('{"Layers": ["conv + relu", "reformat"]}')
    assert [node.name for node in placement.nodes] == ["conv + relu", "reformat"]
    assert placement.share_by_precision() == {"unknown": 1.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": 3}', "null", "junk"])
def test_an_inspector_that_answers_otherwise_is_told(text: str) -> None:
    with pytest.raises(BadInput, match="inspector does not answer as documented"):
        placement_of(text)


def test_the_record_is_whole_when_it_is_read_again(tmp_path: Path) -> None:
    profile: Any = {"x": ((1, 3), (1, 3), (8, 3))}
    built = Built(b"p", (BuiltLayer("c", "CONVOLUTION", "int8"),), (profile,), {}, ("a",), ("w",))
    write_record(tmp_path, built, title="TensorRT 11.4.0")
    assert read_record(tmp_path) == EngineRecord(
        builder="TensorRT 11.4.0",
        profiles=(profile,),
        layers=built.layers,
        attempts=("a",),
        warnings=("w",),
    )

"""An engine of another program: its tensors and profiles by the engine itself, on a fake one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trt_surface import SURFACES, Held

from edgekit.core.documents import Gpu
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.runtime import Adopting, TensorInfo
from edgekit.core.target import Target
from edgekit.jobs.opening import foreign_plan as adopting
from edgekit.runtimes import trt
from edgekit.runtimes.engines import read_tensors
from edgekit.runtimes.trt import RUNTIME
from edgekit.runtimes.trt_adopted import engine_tensors
from edgekit.runtimes.trt_engine import check_engine, read_record
from edgekit.runtimes.trt_library import NvidiaEngine
from edgekit.runtimes.trt_plan import PlanFile

TRT = Target("tensorrt", "cuda")
ORIN = Gpu(index=0, name="Orin", sm=87)
MODE = SimpleNamespace(INPUT="in", OUTPUT="out")
YOLO = {
    "task": "detect", "stride": 32, "batch": 1, "imgsz": [64, 32],
    "names": {"0": "cat", "1": "dog"},
}  # fmt: skip


class Engine:
    """(batch, 3, 64, 32) float32 to (batch, 6, 84) float16, for 1 to 4 and for 8."""

    num_io_tensors = 2
    num_optimization_profiles = 2
    first = -1

    def __init__(self) -> None:
        self.kinds = {"images": "FLOAT", "output0": "HALF"}

    def get_tensor_name(self, place: int) -> str:
        return ("images", "output0")[place]

    def get_tensor_mode(self, name: str) -> str:
        return MODE.INPUT if name == "images" else MODE.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.kinds[name])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.first, 3, 64, 32) if name == "images" else (self.first, 6, 84)

    def get_tensor_profile_shape(self, name: str, profile: int) -> Any:
        return [(batch, 3, 64, 32) for batch in ((1, 1, 4), (8, 8, 8))[profile]]


MODULE = SimpleNamespace(TensorIOMode=MODE)


@pytest.mark.parametrize("version", SURFACES)
def test_every_version_tells_its_tensors_and_profiles(version: str) -> None:
    engine = Held(Engine(), "ICudaEngine", SURFACES[version])
    tensors, profiles = engine_tensors(MODULE, engine, Path("yolo.engine"))
    assert tensors.inputs == (TensorInfo("images", "float32", ("batch", 3, 64, 32)),)
    assert tensors.outputs == (TensorInfo("output0", "float16", ("batch", 6, 84)),)
    shapes = [profile["images"] for profile in profiles]
    assert [[shape[0] for shape in three] for three in shapes] == [[1, 1, 4], [8, 8, 8]]


def test_fixed_shapes_have_no_profile() -> None:
    engine = Engine()
    engine.first = 1
    tensors, profiles = engine_tensors(MODULE, engine, Path("yolo.engine"))
    assert tensors.inputs[0].shape == (1, 3, 64, 32)
    assert profiles == ()


def test_a_type_that_numpy_cannot_hold_is_refused() -> None:
    engine = Engine()
    engine.kinds = {**engine.kinds, "output0": "BF16"}
    with pytest.raises(BadInput, match="'output0' of yolo.engine has the type bf16"):
        engine_tensors(MODULE, engine, Path("yolo.engine"))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A board whose TensorRT notes what it deserializes and reads it where `reads` is set."""
    state = SimpleNamespace(gpus=(ORIN,), deserialized=[], reads=True)

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, logger: Any) -> None:
            pass

        def deserialize_cuda_engine(self, plan: bytes) -> Any:
            assert not self.engine_host_code_allowed
            state.deserialized.append(plan)
            return Engine() if state.reads else None

    module = SimpleNamespace(
        Runtime=Runtime, ILogger=type("Logger", (), {}), TensorIOMode=MODE, __version__="10.3.0"
    )
    monkeypatch.setattr(trt, "_gpus", lambda: state.gpus)
    monkeypatch.setattr(NvidiaEngine, "version", lambda self: "10.3.0")
    monkeypatch.setattr(NvidiaEngine, "present", lambda self: True)
    monkeypatch.setattr(
        trt, "load_library", lambda *_: trt.Library(trt.ENGINES["tensorrt"], module, "10.3.0")
    )
    monkeypatch.setattr(trt, "Cuda", lambda *_: SimpleNamespace(use=lambda: None))
    return state


def test_what_is_adopted_passes_the_checks_of_an_engine_of_ours(
    board: SimpleNamespace, tmp_path: Path
) -> None:
    assert isinstance(RUNTIME, Adopting)
    plan, folder = tmp_path / "yolo.engine", tmp_path / "main"
    folder.mkdir()
    plan.write_bytes(b"header" + b"native code")
    compiled = adopting.adopt_engine(plan, 6, TRT, folder)
    assert board.deserialized == [b"native code"]
    assert (folder / compiled.engine).read_bytes() == b"native code"
    record = read_record(folder)
    assert record.builder == "another program"
    assert len(record.profiles) == 2
    assert check_engine(compiled, folder, record, version="10.3.0", gpu=ORIN)
    assert read_tensors(folder).inputs[0].name == "images"
    file = PlanFile(metadata=YOLO, offset=6, size_bytes=17, sha256="")
    card = adopting._card(plan, file, folder)
    assert card.task == "detection"
    batch = card.inputs["images"].shape[0]
    assert (batch.min, batch.typical, batch.max) == (1, 1, 4)  # type: ignore[union-attr]
    assert adopting._card(plan, PlanFile(None, 0, 17, ""), folder).task == "raw"


def test_what_the_library_does_not_read_leaves_nothing(
    board: SimpleNamespace, tmp_path: Path
) -> None:
    board.reads = False
    (tmp_path / "main").mkdir()
    (tmp_path / "yolo.engine").write_bytes(b"junk")
    with pytest.raises(BadInput, match="TensorRT 10.3.0 does not read .*yolo.engine"):
        RUNTIME.adopt(tmp_path / "yolo.engine", 0, TRT, tmp_path / "main")
    assert not list((tmp_path / "main").iterdir())


def test_without_the_gpu_nothing_is_deserialized(board: SimpleNamespace, tmp_path: Path) -> None:
    board.gpus = ()
    (tmp_path / "yolo.engine").write_bytes(b"native code")
    with pytest.raises(Unavailable, match="no NVIDIA GPU"):
        RUNTIME.adopt(tmp_path / "yolo.engine", 0, TRT, tmp_path)
    assert board.deserialized == []

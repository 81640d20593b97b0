"""Every real model, in fp32, fp16 and int8, of fixed and of dynamic batch, built for two GPUs.

`pytest -s` shows what each build took and gave, in one table.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgekit import api
from edgekit.core.runtime import CompileOptions
from edgekit.core.target import Target
from edgekit.runtimes.graph import read_graph
from edgekit.runtimes.trt import RUNTIME

pytestmark = [
    pytest.mark.slow,
    pytest.mark.realdata,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # exporters' and the quantizer's own
    pytest.mark.skipif(
        importlib.util.find_spec("tensorrt_rtx") is None,
        reason="tensorrt_rtx is not installed: pip install 'edgekit[tensorrt-rtx]'",
    ),
]

RTX = Target("tensorrt-rtx", "cuda")
MODELS = Path(__file__).parent.parent / "models"
# What is exported, and what a set of weights alone needs beside it.
SOURCES: dict[str, dict[str, Any]] = {
    "darknet_tiny.pt2": {},
    "squeezenet1_1.pth": {"arch": f"{MODELS / 'squeezenet.py'}:squeezenet1_1"},
    "yolox_nano.pt2": {},
    "yolox_nano_original.onnx": {},
    "fastestdet.pt2": {},
    "espnetv2_s1.0_voc.pt2": {},
    "silero_vad_16k.safetensors": {
        "arch": f"{MODELS / 'silero.py'}:silero",
        "inputs": {"x": "batch,576", "h": "batch,128", "c": "batch,128"},
    },
}
PRECISIONS = ("fp32", "fp16", "int8")


def one_of(shape: Sequence[int | str]) -> tuple[int, ...]:
    """The shape of a batch of one."""
    return tuple(1 if isinstance(size, str) else size for size in shape)


def said_by_graph(path: Path) -> float:
    """Share of the products whose operands both come out of a DequantizeLinear."""
    nodes = onnx.load(str(path)).graph.node
    made = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    products = [
        set(node.input[:2]) <= made
        for node in nodes
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    ]
    return sum(products) / len(products)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    made: list[str] = []
    yield made
    print("\n" + "\n".join(made))


@pytest.fixture(scope="module", params=SOURCES)
def exported(
    request: pytest.FixtureRequest, realdata: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Path]]:
    """Name, and precision to graph; int8 is calibrated on noise: it is only built."""
    from edgekit.export.fp16 import write_fp16
    from edgekit.export.quantize import calibrate, write_int8

    name = str(request.param)
    folder = tmp_path_factory.mktemp("real")
    graphs = {precision: folder / f"{precision}.onnx" for precision in PRECISIONS}
    api.export(
        str(realdata / "models" / name),
        graphs["fp32"],
        trust_code=True,
        **SOURCES[name],
    )
    write_fp16(graphs["fp32"], graphs["fp16"])
    rng = np.random.default_rng(0)
    feeds = [
        {
            info.name: rng.uniform(size=one_of(info.shape)).astype(np.float32)
            for info in read_graph(graphs["fp32"], why="to test").inputs
        }
        for _ in range(2)
    ]
    decisions = calibrate(graphs["fp32"], feeds, task="detection", record={}, sqnr_limit_db=0.0)
    write_int8(graphs["fp32"], decisions, "s8s8", graphs["int8"])
    return name, graphs


@pytest.mark.parametrize("batch", ["static", "dynamic"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_real_model_builds(
    exported: tuple[str, dict[str, Path]],
    rows: list[str],
    tmp_path: Path,
    precision: str,
    batch: str,
) -> None:
    name, graphs = exported
    inputs = read_graph(graphs[precision], why="to test").inputs
    fixed = all(isinstance(info.shape[0], int) for info in inputs)
    if fixed and batch == "dynamic":
        pytest.skip(f"{name} is of fixed batch")
    profile: Any = {info.name: (one_of(info.shape),) * 3 for info in inputs}
    profiles = (profile,) if batch == "static" and not fixed else ()
    options = CompileOptions(sm=(86, 120), profiles=profiles)
    made = RUNTIME.compile(graphs[precision], RTX, options, tmp_path)
    share = made.planned.get(precision, 0.0)
    rows.append(
        f"{name:26} {precision:5} {batch:8} {made.compile_ns / 1e9:5.1f} s "
        f"{(tmp_path / made.engine).stat().st_size / 1e6:6.2f} MB  planned {made.planned}  "
        + " ".join(
            f"{what.split('_')[0]} {size / 1e6:.2f} MB" for what, size in made.memory.items()
        )
    )
    assert share == pytest.approx(said_by_graph(graphs[precision]) if precision == "int8" else 1)

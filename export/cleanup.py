"""Graph clean-up by onnxslim, kept only where it changes nothing that is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.parity import ParityMeter
from edgekit.core.requires import requires
from edgekit.core.runtime import Array, Feeds
from edgekit.core.temporary import scratch
from edgekit.export.module_paths import module_paths, put_module_paths
from edgekit.export.quiet import quiet

__all__ = ["GraphRunner", "clean"]

# Runs one ONNX file on inputs by name and returns its outputs by name.
GraphRunner = Callable[[Path, Feeds], Mapping[str, Array]]

# Folding constants and fusing batch norms reorders float32 sums and no more.
_SQNR_DB = 100.0


def clean(model: Any, feeds: Feeds, runner: GraphRunner | None = None) -> tuple[Any, list[str]]:
    """Fold constants, fuse and drop dead nodes; return the model as it was where that goes wrong.

    Both graphs are run on `feeds` and must agree. Nodes keep the module that they came from; a
    node that several became one has that of the last of them.

    Args:
        model: onnx.ModelProto; left as it is.
        feeds: Inputs of the smallest size, by name.
        runner: What runs them; None means ONNX's own reference implementation in numpy, which is
            always there and takes many seconds where a graph pools large images.

    Returns:
        onnx.ModelProto, and a note where it is not the cleaned one.
    """
    with requires("onnxslim", extra="onnx", why="to clean up the graph"):
        import onnxslim
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        with quiet():
            slim: Any = onnxslim.slim(copy)
            onnx.checker.check_model(slim)
    except Exception as error:
        return model, [f"The graph was left as exported: onnxslim failed ({_short(error)})."]
    if _interface(slim) != _interface(model):
        return model, ["The graph was left as exported: onnxslim changed its inputs or outputs."]
    try:
        before, after = _run(model, feeds, runner), _run(slim, feeds, runner)
    except Exception as error:
        return model, [
            f"The graph was left as exported: its clean-up could not be checked ({_short(error)})."
        ]
    for name, reference in before.items():
        meter = ParityMeter()
        meter.add(reference, after[name])
        if meter.result().sqnr_db < _SQNR_DB and not _same_nan(reference, after[name]):
            return model, [f"The graph was left as exported: onnxslim changed the output {name!r}."]
    # Its library's stamp would hide who made the graph.
    slim.producer_name, slim.producer_version = model.producer_name, model.producer_version
    put_module_paths(slim, module_paths(model))
    return slim, []


def _run(model: Any, feeds: Feeds, runner: GraphRunner | None) -> Mapping[str, Array]:
    if runner is not None:
        with scratch("cleanup") as folder:
            path = folder / "graph.onnx"
            path.write_bytes(model.SerializeToString())
            return runner(path, feeds)
    from onnx.reference import ReferenceEvaluator

    names = [output.name for output in model.graph.output]
    with quiet(), np.errstate(all="ignore"):
        values = ReferenceEvaluator(model).run(names, dict(feeds))
    return dict(zip(names, map(np.asarray, values), strict=True))


def _same_nan(reference: Array, output: Array) -> bool:
    return bool(np.allclose(reference, output, rtol=1e-4, atol=1e-6, equal_nan=True))


def _interface(model: Any) -> list[tuple[str, int, list[str | int]]]:
    return [
        (
            tensor.name,
            tensor.type.tensor_type.elem_type,
            [size.dim_param or size.dim_value for size in tensor.type.tensor_type.shape.dim],
        )
        for tensor in [*model.graph.input, *model.graph.output]
    ]


def _short(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")[:200]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__

"""Inputs, outputs and profiles of an engine that another program built, by the engine itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.runtime import ShapeProfile, TensorInfo
from edgekit.runtimes.engines import Tensors

__all__ = ["engine_tensors"]

# TensorRT's types that numpy can hold.
_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
_BATCH = "batch"


def engine_tensors(
    module: Any, engine: Any, path: Path
) -> tuple[Tensors, tuple[ShapeProfile, ...]]:
    """Read what `compile` would have taken from the graph.

    Args:
        module: tensorrt or tensorrt_rtx.
        engine: ICudaEngine.
        path: The file it came from, for messages.

    Returns:
        Inputs and outputs, a dynamic first axis called "batch" and others by their place; and the
        optimization profiles, none where every shape is fixed.

    Raises:
        BadInput: A tensor has a type that numpy cannot hold.
    """
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    infos = {name: _info(engine, name, path) for name in names}
    fed = [name for name in names if engine.get_tensor_mode(name) == module.TensorIOMode.INPUT]
    dynamic = [name for name in fed if any(isinstance(size, str) for size in infos[name].shape)]
    profiles: list[ShapeProfile] = []
    for number in range(engine.num_optimization_profiles if dynamic else 0):
        profile: ShapeProfile = {}
        for name in dynamic:
            low, typical, high = (
                tuple(int(size) for size in shape)
                for shape in engine.get_tensor_profile_shape(name, number)
            )
            profile[name] = (low, typical, high)
        profiles.append(profile)
    tensors = Tensors(
        inputs=tuple(infos[name] for name in fed),
        outputs=tuple(infos[name] for name in names if name not in fed),
    )
    return tensors, tuple(profiles)


def _info(engine: Any, name: str, path: Path) -> TensorInfo:
    kind = str(engine.get_tensor_dtype(name).name)
    if kind not in _DTYPES:
        raise BadInput(
            f"The tensor {name!r} of {path} has the type {kind.lower()}, which numpy cannot hold.",
            hint="Build the engine with inputs and outputs in float32.",
        )
    shape = tuple(
        (_BATCH if place == 0 else f"axis_{place}") if int(size) < 0 else int(size)
        for place, size in enumerate(engine.get_tensor_shape(name))
    )
    return TensorInfo(name=name, dtype=_DTYPES[kind], shape=shape)

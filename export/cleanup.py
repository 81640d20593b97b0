"""Graph clean-up by onnxslim, kept only where it changes nothing that is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.parity import ParityMeter
from edgekit.core.requires import requires
from edgekit.core.runtime import Array, Feeds
from edgekit.core.subject import reason_of
from edgekit.core.temporary import scratch
from edgekit.export.module_paths import module_paths, put_module_paths
from edgekit.export.quiet import quiet

__all__ = ["GraphRunner", "clean"]

# Runs one ONNX file on inputs by name and returns its outputs by name.
GraphRunner = Callable[[Path, Feeds], Mapping[str, Array]]

# Folding constants and fusing batch norms reorders float32 sums and no more.
_SQNR_DB = 100.0


class _NotKept(Exception):
    """The graph stays as exported; the text says why."""


def clean(
    model: Any, cases: Sequence[Callable[[], Feeds]], runner: GraphRunner | None = None
) -> tuple[Any, list[str]]:
    """Fold constants, fuse and drop dead nodes; return the model as it was where that goes wrong.

    Inputs and outputs stay as they are declared. Both graphs are run and must agree at every size
    that the model itself takes. Nodes keep the module that they came from; a node that several
    became one has that of the last of them.

    Args:
        model: onnx.ModelProto; left as it is.
        cases: Makers of inputs by name, one for each size.
        runner: What runs both; None means ONNX's own reference implementation in numpy, which is
            always there, takes many seconds where a graph pools large images, and so runs the first
            case alone.

    Returns:
        onnx.ModelProto, and a note where it is not the cleaned one.
    """
    with requires("onnxslim", extra="onnx", why="to clean up the graph"):
        import onnxslim
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    try:
        try:
            with quiet():
                slim: Any = onnxslim.slim(copy)
                _declare(model, slim)
                onnx.checker.check_model(slim)
        except (_NotKept, KeyboardInterrupt):
            raise
        except BaseException as error:  # a library that asserts, recurses, or ends the process
            raise _NotKept(f"onnxslim failed on it ({reason_of(error)})") from error
        _compare(model, slim, cases if runner is not None else cases[:1], runner)
    except _NotKept as reason:
        return model, [f"The graph was left as exported: {reason}."]
    # Its library's stamp would hide who made the graph.
    slim.producer_name, slim.producer_version = model.producer_name, model.producer_version
    put_module_paths(slim, module_paths(model))
    return slim, []


def _declare(model: Any, slim: Any) -> None:
    """Give a cleaned graph the inputs and outputs of the model.

    What is no longer read stays an input. A name in an output's shape that turned out to be one
    number becomes that number.

    Raises:
        _NotKept: A tensor is missing, or is not what it was.
    """
    own = {tensor.name for tensor in model.graph.initializer}
    held = {tensor.name for tensor in slim.graph.initializer}
    inputs = [tensor for tensor in model.graph.input if tensor.name not in own]
    made = {name for node in slim.graph.node for name in node.output}
    known = {tensor.name for tensor in inputs} | own
    stranger = [t.name for t in slim.graph.input if t.name not in known | held]
    if stranger:
        raise _NotKept(f"onnxslim gave it the input {stranger[0]!r}")
    outputs = []
    found = {tensor.name: tensor for tensor in slim.graph.output}
    for tensor in model.graph.output:
        if tensor.name not in found or tensor.name not in made | held | known:
            raise _NotKept(f"onnxslim dropped the output {tensor.name!r}")
        outputs.append(_settled(tensor, found[tensor.name]))
    # Files of an old version declare their initializers as inputs too.
    both = [tensor for tensor in slim.graph.input if tensor.name in held]
    for place, tensors in ((slim.graph.input, [*inputs, *both]), (slim.graph.output, outputs)):
        copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in tensors]
        del place[:]
        place.extend(copies)


def _settled(before: Any, after: Any) -> Any:
    """Return a declared output with the numbers that names in its shape turned out to be."""
    settled = type(before).FromString(before.SerializeToString())
    mine, theirs = before.type.tensor_type, after.type.tensor_type
    dims = settled.type.tensor_type.shape.dim
    if mine.elem_type != theirs.elem_type or len(dims) != len(theirs.shape.dim):
        raise _NotKept(f"onnxslim changed the output {before.name!r}")
    for size, found in zip(dims, theirs.shape.dim, strict=True):
        if not size.dim_value and found.dim_value > 0:
            size.dim_value = found.dim_value
        elif found.dim_value > 0 and found.dim_value != size.dim_value:
            raise _NotKept(f"onnxslim changed the output {before.name!r}")
    return settled


def _compare(
    model: Any, slim: Any, cases: Sequence[Callable[[], Feeds]], runner: GraphRunner | None
) -> None:
    """Run both graphs at every size that the model takes.

    Raises:
        _NotKept: They differ somewhere, or the model took no size.
    """
    declared = {
        tensor.name: [size.dim_value for size in tensor.type.tensor_type.shape.dim]
        for tensor in slim.graph.output
    }
    tried, refused = 0, ""
    for make in cases:
        try:
            feeds = make()
            before = _run(model, feeds, runner)
        except Exception as error:  # a size that the model itself does not take
            refused = reason_of(error)
            continue
        tried += 1
        try:
            after = _run(slim, feeds, runner)
        except Exception as error:
            raise _NotKept(
                f"what onnxslim made of it does not run on the same inputs ({reason_of(error)})"
            ) from error
        for name, reference in before.items():
            sizes = zip(declared[name], after[name].shape, strict=False)
            if reference.shape != after[name].shape or any(
                size > 0 and size != own for size, own in sizes
            ):
                raise _NotKept(f"onnxslim changed the shape of the output {name!r}")
            meter = ParityMeter()
            meter.add(reference, after[name])
            if meter.result().sqnr_db < _SQNR_DB and not _same_nan(reference, after[name]):
                raise _NotKept(f"onnxslim changed the output {name!r}")
    if not tried:
        raise _NotKept(
            f"it runs at none of the sizes tried, so its clean-up shows nothing ({refused})"
        )


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

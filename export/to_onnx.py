"""A PyTorch network becomes an ONNX model; TorchScript only where torch.export fails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.core.axes import axis_label, axis_names, axis_size, is_derived, renamed_label
from edgekit.core.errors import BadInput
from edgekit.core.inputs import axis_sizes, dynamic_axes
from edgekit.core.requires import requires
from edgekit.core.runtime import Feeds
from edgekit.core.temporary import scratch
from edgekit.core.trials import example_feeds
from edgekit.export.module_paths import module_paths, put_module_paths
from edgekit.export.quiet import quiet
from edgekit.export.torch_graph import TorchGraph
from edgekit.export.translations import translations

__all__ = ["MAXIMUM_BYTES", "export_graph", "name_axes", "opset_of"]

# A protobuf message ends here, and with it what fits into one .onnx file.
MAXIMUM_BYTES = 2**31 - 1
_SYMBOL = re.compile(r"[A-Za-z_]\w*")


class _NotExportedError(Exception):
    """One exporter did not manage; its text is the reason, in one line."""


def export_graph(graph: TorchGraph, opset: int | None) -> tuple[Any, str, list[str]]:
    """Export one network.

    Args:
        graph: The network with its inputs; dynamic axes get the card's names and ranges.
        opset: ONNX operator set; None means the exporter's own.

    Returns:
        onnx.ModelProto, whose nodes say their module (see edgekit.export.module_paths), the
        exporter ("torch.export" or "torchscript"), and notes.

    Raises:
        BadInput: Neither exporter manages, the graph exceeds 2 GB, or another opset came out than
            was asked for.
        MissingLibrary: onnx or onnxscript is not installed.
    """
    why = f"to export {graph.where}"
    with requires("onnx", extra="onnx", why=why):
        import onnx  # noqa: F401
    with requires("onnxscript", extra="export", why=why):
        import onnxscript  # noqa: F401
    _refuse_large(graph)
    notes: list[str] = []
    try:
        model, exporter = _by_torch_export(graph, opset), "torch.export"
    except _NotExportedError as error:
        try:
            model, exporter = _by_torchscript(graph, opset), "torchscript"
        except _NotExportedError as second:
            raise BadInput(
                f"{graph.where} cannot be exported to ONNX: {error}.",
                hint=f"The TorchScript exporter fails as well: {second}.",
            ) from error
        notes.append(
            f"{graph.where} was exported by the TorchScript exporter, because torch.export "
            f"failed: {error}."
        )
    got = opset_of(model)
    if opset is not None and got != opset:
        raise BadInput(
            f"Opset {opset} was asked for {graph.where}, but the {exporter} exporter wrote {got}.",
            hint=f"Leave --opset out, or ask for {got}.",
        )
    modules = {name for name, _ in graph.module.named_modules()}
    put_module_paths(model, module_paths(model, modules))
    return model, exporter, notes


def opset_of(model: Any) -> int:
    """Version of the standard operators that a model imports."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return int(max(versions, default=0))


def name_axes(
    model: Any, feeds: Sequence[Feeds], outputs: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Name the outputs' dynamic axes by what eager runs at several shapes show.

    The exporter may declare an axis fixed that is not (an RNN over a dynamic time axis), which
    engines then believe. Every axis that varied over the runs becomes dynamic, under the name of
    the input axis that varied with it.

    Args:
        model: onnx.ModelProto, changed in place.
        feeds: Inputs of each run.
        outputs: Outputs of each run.

    Returns:
        A note for every axis whose declaration was wrong.
    """
    named: dict[tuple[int, ...], str] = {}
    for tensor in model.graph.input:
        for index, size in enumerate(tensor.type.tensor_type.shape.dim):
            if size.dim_param:
                seen = tuple(feed[tensor.name].shape[index] for feed in feeds)
                named.setdefault(seen, size.dim_param)
    notes = []
    for tensor in model.graph.output:
        sizes = tensor.type.tensor_type.shape.dim
        for index, size in enumerate(sizes):
            seen = tuple(run[tensor.name].shape[index] for run in outputs)
            if len(set(seen)) == 1:
                continue
            if size.HasField("dim_value"):
                notes.append(
                    f"Axis {index} of the output {tensor.name!r} was declared fixed at "
                    f"{size.dim_value} and varies; the declaration was corrected."
                )
            if seen in named:
                size.dim_param = named[seen]
            elif size.HasField("dim_value") or not size.dim_param:
                size.dim_param = f"{tensor.name}_{index}"
    if notes:
        # Whatever else was inferred from that size is as wrong; engines infer it again.
        del model.graph.value_info[:]
    return notes


def _refuse_large(graph: TorchGraph) -> None:
    size = sum(
        tensor.numel() * tensor.element_size()
        for tensor in [*graph.module.parameters(), *graph.module.buffers()]
    )
    if size > MAXIMUM_BYTES:
        raise BadInput(
            f"{graph.where} holds {size / 2**30:.1f} GB of weights; one ONNX file holds 2 GB.",
            hint="Split it into several graphs, or convert its weights to half precision first.",
        )


def _example(graph: TorchGraph) -> Feeds:
    """Make inputs of sizes that torch.export cannot mistake for constants or for each other."""
    used = {
        size for tensor in graph.inputs.values() for size in tensor.shape if isinstance(size, int)
    }
    sizes = {}
    for name, axis in dynamic_axes(graph.inputs).items():
        # Sizes 0 and 1 are special to torch.export, and equal sizes may be taken for one.
        size = max(2, axis.typical or axis.min)
        while size in used and (axis.max is None or size < axis.max):
            size += 1
        size = size if axis.max is None else min(size, axis.max)
        used.add(size)
        sizes[name] = size
    try:
        chosen = axis_sizes(graph.inputs, sizes)
    except BadInput:
        # Sizes that follow from several axes do not fit these; typical ones do.
        chosen = axis_sizes(graph.inputs)
    return example_feeds(graph.inputs, graph.real, chosen)


def _by_torch_export(graph: TorchGraph, opset: int | None) -> Any:
    import torch

    _forget_dispatch()
    arguments: dict[str, Any]
    if graph.program is not None:
        _forget_expressions(graph.program)
        arguments = {"model": graph.program, "args": ()}
    else:
        args, kwargs = graph.arguments(_example(graph))
        shapes = _dynamic_shapes(graph)
        arguments = {
            "model": graph.module,
            "args": args,
            "kwargs": kwargs,
            "dynamic_shapes": shapes if graph.by_keyword else tuple(shapes.values()),
        }
    if not graph.by_keyword:
        arguments["input_names"] = list(graph.inputs)
    model = _write(
        lambda path: torch.onnx.export(
            **arguments,
            f=path,
            output_names=list(graph.outputs),
            opset_version=opset,
            dynamo=True,
            custom_translation_table=translations(),
            external_data=False,
            verbose=False,
        ),
        graph,
    )
    _rename_axes(model, graph)
    for tensor in model.graph.input:
        shape = graph.inputs[tensor.name].shape
        for index, size in enumerate(tensor.type.tensor_type.shape.dim):
            if not isinstance(shape[index], int) and not size.dim_param:
                raise _NotExportedError(
                    f"it fixes axis {index} of {tensor.name!r} at {size.dim_value}"
                )
    return model


def _by_torchscript(graph: TorchGraph, opset: int | None) -> Any:
    import torch

    if graph.program is not None:
        # The exporter sets the mode and sets it back, which the module of a program refuses. The
        # module looks at the shapes that it is given, which have no numbers in a trace.
        graph.module.train = graph.module.eval = lambda *_: graph.module
        graph.module.validate_inputs = False
    args, kwargs = graph.arguments(_example(graph))
    return _write(
        lambda path: torch.onnx.export(
            graph.module,
            args,
            kwargs=kwargs,
            f=path,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={
                name: {
                    index: str(axis_label(size))
                    for index, size in enumerate(tensor.shape)
                    if not isinstance(size, int)
                }
                for name, tensor in graph.inputs.items()
            },
            opset_version=opset,
            dynamo=False,
        ),
        graph,
    )


def _write(export: Any, graph: TorchGraph) -> Any:
    """Run an exporter into a temporary file, read the model back and compare its interface."""
    import onnx

    with scratch("export") as folder:
        path = folder / "model.onnx"
        try:
            with quiet():
                export(str(path))
        except Exception as error:
            raise _NotExportedError(_reason(error)) from error
        model = onnx.load(path, load_external_data=False)
    present = {tensor.name for tensor in model.graph.input}
    for name in graph.inputs:
        if name not in present:
            # Tracing takes for a constant what leaves PyTorch on the way (numpy, plain numbers).
            raise _NotExportedError(f"its graph does not depend on the input {name!r}")
    return model


def _dynamic_shapes(graph: TorchGraph) -> dict[str, dict[int, Any] | None]:
    import torch

    dims = {}
    for name, axis in dynamic_axes(graph.inputs).items():
        limits = {} if axis.max is None else {"max": axis.max}
        dims[name] = torch.export.Dim(name, min=axis.min, **limits)
    shapes: dict[str, dict[int, Any] | None] = {}
    for name, tensor in graph.inputs.items():
        found = {}
        for index, size in enumerate(tensor.shape):
            label = axis_label(size)
            if isinstance(label, str):
                found[index] = _dim(label, dims)
        shapes[name] = found or None
    if any(dim is None for found in shapes.values() for dim in (found or {}).values()):
        # torch states no more than a multiple and a sum of one axis; it finds the rest by itself.
        return {
            name: dict.fromkeys(found, torch.export.Dim.AUTO) if found else None
            for name, found in shapes.items()
        }
    return shapes


def _dim(label: str, dims: Mapping[str, Any]) -> Any:
    """Torch's own dimension for an axis; None for one that torch.export cannot state."""
    if not is_derived(label):
        return dims[label]
    try:
        return axis_size(label, dims)
    except (NotImplementedError, TypeError):
        return None


def _rename_axes(model: Any, graph: TorchGraph) -> None:
    """Put the card's axis names in the place of torch's symbols ("s77"), everywhere."""
    names: dict[str, str] = {}
    for tensor in model.graph.input:
        dims = tensor.type.tensor_type.shape.dim
        for size, axis in zip(dims, graph.inputs[tensor.name].shape, strict=True):
            label = axis_label(axis)
            if not size.dim_param or isinstance(label, int):
                continue
            parts = axis_names(size.dim_param)
            if not is_derived(size.dim_param):
                names[size.dim_param] = label
            elif len(parts) == len(axis_names(label)) == 1:
                # The axis itself stands nowhere: "32*s39" is "32 * h".
                names.setdefault(parts[0], axis_names(label)[0])
            size.dim_param = label
    for tensor in [*model.graph.output, *model.graph.value_info]:
        for size in tensor.type.tensor_type.shape.dim:
            if is_derived(size.dim_param):
                size.dim_param = renamed_label(size.dim_param, names)
            elif size.dim_param:
                size.dim_param = _SYMBOL.sub(
                    lambda match: names.get(match.group(), match.group()), size.dim_param
                )


def _forget_expressions(program: Any) -> None:
    """Drop the ranges of expressions ("2*s0") that a loaded program keeps among those of symbols.

    torch.export.load puts them there, and torch.export's own decomposition takes none.
    """
    for node in program.graph.nodes:
        mode = getattr(node.meta.get("val"), "fake_mode", None)
        ranges = getattr(getattr(mode, "shape_env", None), "var_to_range", {})
        for key in [key for key in ranges if not key.is_Symbol]:
            del ranges[key]


def _forget_dispatch() -> None:
    """Clear torch's cached dispatch of RNNs.

    torch.onnx leaves a decomposition there that bakes in the first export's sizes: the second RNN
    with a dynamic time axis in one process silently becomes static.
    """
    import torch

    for name in ("gru", "lstm", "rnn_tanh", "rnn_relu"):
        for overload in ("input", "data"):
            cache = getattr(getattr(getattr(torch.ops.aten, name), overload), "_dispatch_cache", {})
            cache.clear()


def _reason(error: BaseException) -> str:
    """The line of an exporter's long message that says what is wrong."""
    lines = [line.strip() for line in re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()]
    for index, line in enumerate(lines):
        if line.startswith("## Exception summary"):
            lines = [later for later in lines[index + 1 :] if later]
            break
    first = next((line for line in lines if line), type(error).__name__)
    first = re.sub(r"^<class '(?:[\w]+\.)*(\w+)'>: ", r"\1: ", first)
    return first.rstrip(".")[:300]

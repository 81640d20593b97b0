"""From calibration samples to quantization decisions: NNCF says what is rounded with what."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress, Silent
from edgekit.core.requires import requires
from edgekit.core.subject import reason_of
from edgekit.core.telemetry import without_telemetry
from edgekit.export.graph import (
    attribute,
    constants,
    consumers,
    head_nodes,
    is_weighted,
    producers,
)

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "NncfResult",
    "Range",
    "carry_ranges",
    "data_sha256",
    "float_reasons",
    "mixed_ranges",
    "quantizable",
    "run_nncf",
    "weight_maximum",
]

Feed = Mapping[str, "NDArray[np.generic]"]
Range = tuple[float, float]

# Their outputs hold values of their input, so a range stays true behind them.
PRESERVING = frozenset(
    (
        "DepthToSpace", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze",
    )
)  # fmt: skip
# What stands between a weighted node and the addition that follows it; SiLU is Sigmoid and Mul.
ACTIVATIONS = frozenset(
    (
        "BatchNormalization", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity",
        "LeakyRelu", "MaxPool", "Mul", "PRelu", "Relu", "Sigmoid", "Softplus", "Swish", "Tanh",
    )
)  # fmt: skip
# Engines have int8 kernels for these, so a quantized input pays.
COMPUTING = frozenset(
    (
        "Add", "AveragePool", "Concat", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool",
        "GlobalMaxPool", "LeakyRelu", "MatMul", "Mul", "ReduceMean", "Relu", "Resize", "Sub",
    )
)  # fmt: skip
MIXED_RATIO = 50.0  # at 255 steps the quietest part then has about five


@dataclass(frozen=True)
class NncfResult:
    """What NNCF found, by tensor name of the float model.

    Attributes:
        ranges: Smallest and largest value by tensor; equal ones where tensors share a scale.
        weighted: First outputs of the nodes whose weight it quantized.
        biases: Corrected bias by first output of its node.
        version: NNCF's version.
    """

    ranges: dict[str, Range]
    weighted: frozenset[str]
    biases: dict[str, NDArray[np.float32]]
    version: str


def data_sha256(feeds: Sequence[Feed]) -> str:
    """Return the hex sha256 over names, dtypes, shapes and bytes of all samples, in order."""
    digest = hashlib.sha256()
    for feed in feeds:
        for name in sorted(feed):
            array = np.ascontiguousarray(feed[name])
            digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def quantizable(model: onnx.ModelProto) -> set[str]:
    """Name the tensors that may get a range: what is computed on in int8, or only moved."""
    values = constants(model)
    return {
        name
        for node in model.graph.node
        if node.op_type in COMPUTING or is_weighted(node, values) or _preserves(node)
        for name in node.input
        if name and name not in values
    }


def float_reasons(
    model: onnx.ModelProto,
    task: str,
    sqnr_db: Mapping[str, float],
    limit_db: float,
    measured: Collection[str],
) -> dict[str, str]:
    """Say which nodes must stay in float, and why, by first output.

    A classifier's logits are one kind of value and may be quantized up to the end; every other
    task decodes its outputs, and decoding stays in float (see `graph.head_nodes`).

    Args:
        model: The float model.
        task: The card's.
        sqnr_db: Predicted by first output of a weighted node.
        limit_db: What it must reach.
        measured: Tensors that have a range.
    """
    reasons: dict[str, str] = {}
    if task != "classification":
        reasons |= dict.fromkeys(head_nodes(model)[0], "decoding after the last weighted node")
    reasons |= dict.fromkeys(_loose_arithmetic(model), "joins nothing that int8 computed")
    values = constants(model)
    for node in model.graph.node:
        if not is_weighted(node, values):
            continue
        output = node.output[0]
        if node.input[0] not in measured:
            reasons[output] = "its input has no finite range on the calibration samples"
        elif sqnr_db.get(output, limit_db) < limit_db:
            reasons[output] = (
                f"predicted SQNR of {sqnr_db[output]:.1f} dB with one scale per tensor is under "
                f"{limit_db:g}"
            )
    return reasons


def _loose_arithmetic(model: onnx.ModelProto) -> list[str]:
    """Return additions and products none of whose operands comes from a weighted node.

    A residual addition is worth int8, because a convolution beside it is. A sum of hundreds of
    slices (how adaptive pooling is exported) is not: it would be rounded at every step.
    """
    values = constants(model)
    fresh: set[str] = set()  # made by a weighted node, with activations in between at most
    loose = []
    for node in model.graph.node:
        from_weighted = any(name in fresh for name in node.input)
        if is_weighted(node, values) or (node.op_type in ACTIVATIONS and from_weighted):
            fresh.update(node.output)
        elif node.op_type in ("Add", "Sub", "Mul") and not from_weighted:
            loose.append(node.output[0])
    return loose


def run_nncf(
    model: onnx.ModelProto,
    feeds: Sequence[Feed],
    kept_float: set[str],
    progress: Progress | None = None,
) -> NncfResult:
    """Quantize a copy with NNCF and read back what it rounds, with which scale, and its biases.

    This is the only function that imports NNCF.

    Args:
        model: Float model of opset 13 or above, weights as initializers.
        feeds: Batches of one (or of the model's fixed batch) by input name.
        kept_float: First outputs of nodes that NNCF must not quantize.
        progress: Hears of the samples, in each of its passes.

    Raises:
        BadInput: NNCF refuses the model.
        MissingLibrary: NNCF is not installed.
    """
    import onnx

    with requires("nncf", extra="onnx", why="to quantize"), _quiet(), without_telemetry():
        import nncf

    named = onnx.ModelProto()
    named.CopyFrom(model)
    for index, node in enumerate(named.graph.node):  # NNCF needs unique names
        node.name = f"{index}:{node.op_type}"
    ignored = [node.name for node in named.graph.node if node.output[0] in kept_float]
    try:
        with _quiet():
            quantized = nncf.quantize(
                named,
                nncf.Dataset(_Tracked(feeds, progress or Silent()), dict),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(feeds),
                ignored_scope=nncf.IgnoredScope(names=ignored) if ignored else None,
                advanced_parameters=_per_tensor_activations(),
            )
    except Exception as error:  # NNCF has no base class for its errors
        raise BadInput(
            f"NNCF {nncf.__version__} cannot quantize the model: {reason_of(error)}.",
            hint="Keep it in float, or simplify the graph first.",
        ) from error
    return _read_back(model, quantized, str(nncf.__version__))


@dataclass(frozen=True)
class _Tracked:
    """Samples that tell how far along they are each time they are gone through."""

    feeds: Sequence[Feed]
    progress: Progress

    def __len__(self) -> int:
        return len(self.feeds)

    def __iter__(self) -> Iterator[Feed]:
        return self.progress.track(self.feeds, "samples", len(self.feeds))


def _per_tensor_activations() -> Any:
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        QuantizationParameters,
    )

    return AdvancedQuantizationParameters(
        activations_quantization_params=QuantizationParameters(per_channel=False)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF's progress bars and prints away from stdout, which belongs to results."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _read_back(model: onnx.ModelProto, quantized: onnx.ModelProto, version: str) -> NncfResult:
    """Translate NNCF's Q/DQ nodes into ranges of the float model's tensors."""
    values = constants(quantized)
    makers = producers(quantized)
    originals = constants(model)

    def origin(tensor: str) -> str:
        while (maker := makers.get(tensor)) is not None and maker.op_type in (
            "QuantizeLinear",
            "DequantizeLinear",
        ):
            tensor = maker.input[0]
        return tensor

    ranges: dict[str, Range] = {}
    weighted: set[str] = set()
    biases: dict[str, NDArray[np.float32]] = {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in values:
            tensor = origin(node.input[0])
            scale = values[node.input[1]].astype(np.float64)
            zero = values[node.input[2]]
            lowest = 0 if zero.dtype == np.uint8 else -128
            offset = zero.astype(np.float64)
            low = float(((lowest - offset) * scale).min())
            high = float(((lowest + 255 - offset) * scale).max())
            if tensor in ranges:
                low, high = min(low, ranges[tensor][0]), max(high, ranges[tensor][1])
            ranges[tensor] = (low, high)
        elif len(node.input) > 1 and makers.get(node.input[1]) is not None:
            maker = makers[node.input[1]]
            if maker.op_type == "DequantizeLinear" and origin(node.input[1]) in values:
                weighted.add(node.output[0])
                if node.op_type != "MatMul" and len(node.input) > 2 and node.input[2] in values:
                    biases[node.output[0]] = values[node.input[2]].astype(np.float32)
    by_output = {node.output[0]: node for node in model.graph.node}
    return NncfResult(
        ranges,
        frozenset(o for o in weighted if o in by_output and is_weighted(by_output[o], originals)),
        biases,
        version,
    )


def carry_ranges(
    model: onnx.ModelProto, found: NncfResult, kept_float: set[str]
) -> tuple[dict[str, Range], set[str]]:
    """Complete NNCF's ranges so that every quantized node has Q/DQ directly before it.

    NNCF puts one Q/DQ before a chain of data movement (pooling, slicing, joining); engines fuse
    only what has Q/DQ on both sides. Values do not change in such a chain, so the range is the
    same and the second rounding changes nothing.

    Returns:
        Ranges by tensor, and the first outputs of the nodes whose weight can be quantized.
    """
    ranges = dict(found.ranges)
    for node in model.graph.node:
        output = node.output[0]
        if output in kept_float:
            continue
        if node.op_type == "Concat" or _preserves(node):
            data = list(node.input) if node.op_type == "Concat" else [node.input[0]]
            if not all(name in ranges for name in data):
                continue
            lows, highs = zip(*(ranges[name] for name in data), strict=True)
            for name in node.output:
                ranges.setdefault(name, (min(lows), max(highs)))
    values = constants(model)
    weighted = {
        node.output[0]
        for node in model.graph.node
        if node.output[0] in found.weighted
        and node.output[0] not in kept_float
        and is_weighted(node, values)
        and node.input[0] in ranges
    }
    return _useful(model, ranges, kept_float), weighted


def _preserves(node: onnx.NodeProto) -> bool:
    if node.op_type == "Resize":
        return attribute(node, "mode", b"nearest") == b"nearest"
    return node.op_type in PRESERVING


def _useful(
    model: onnx.ModelProto, ranges: Mapping[str, Range], kept_float: set[str]
) -> dict[str, Range]:
    """Drop ranges of tensors from which no int8 computation is reached, and of outputs."""
    readers = consumers(model)
    outputs = {entry.name for entry in model.graph.output}
    useful: set[str] = set()
    for node in reversed(list(model.graph.node)):
        for name in node.output:
            if any(_uses_int8(reader, useful, kept_float) for reader in readers.get(name, ())):
                useful.add(name)
    for entry in model.graph.input:
        if any(_uses_int8(reader, useful, kept_float) for reader in readers.get(entry.name, ())):
            useful.add(entry.name)
    order = [entry.name for entry in model.graph.input]
    order += [name for node in model.graph.node for name in node.output]
    return {n: ranges[n] for n in order if n in ranges and n in useful and n not in outputs}


def _uses_int8(reader: onnx.NodeProto, useful: set[str], kept_float: set[str]) -> bool:
    if reader.output[0] in kept_float:
        return False
    if reader.op_type == "Concat" or _preserves(reader):
        return any(name in useful for name in reader.output)
    return reader.op_type in COMPUTING


def mixed_ranges(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> list[str]:
    """Name every quantized tensor that joins parts of very different range under one scale.

    Args:
        model: The float model.
        ranges: The ranges to be written.

    Returns:
        One sentence for each Concat (or chain ending in one) whose inputs' magnitudes differ by
        more than a factor of 50.
    """
    sentences = []
    for node in model.graph.node:
        if node.op_type != "Concat" or node.output[0] not in ranges:
            continue
        sizes = {
            name: max(abs(ranges[name][0]), abs(ranges[name][1]))
            for name in node.input
            if name in ranges
        }
        if len(sizes) < 2:
            continue
        wide, narrow = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
        if sizes[wide] > MIXED_RATIO * max(sizes[narrow], 1e-12):
            sentences.append(
                f"{node.output[0]} gives one scale to {wide} (up to {sizes[wide]:.3g}) and "
                f"{narrow} (up to {sizes[narrow]:.3g})."
            )
    return sentences


def weight_maximum(weight: NDArray[np.generic], axis: int | None) -> tuple[float, ...]:
    """Return the largest magnitude by index of `axis`, or one for the whole weight."""
    magnitude = np.abs(weight.astype(np.float64))
    if axis is None:
        return (float(magnitude.max(initial=0.0)),)
    rest = tuple(other for other in range(weight.ndim) if other != axis)
    return tuple(float(value) for value in magnitude.max(axis=rest, initial=0.0))

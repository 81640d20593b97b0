"""Post-training int8 quantization: calibrate once, write any dialect from the decisions."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.progress import Progress, Silent
from edgekit.export.calibrate import (
    NncfResult,
    Range,
    carry_ranges,
    data_sha256,
    float_reasons,
    mixed_ranges,
    quantizable,
    run_nncf,
    weight_maximum,
)
from edgekit.export.clipping import (
    LEAST_ERROR,
    Spread,
    loss_of,
    measure_spreads,
    ranges_by_method,
    rounding_variance,
    symmetric_limit,
)
from edgekit.export.decisions import (
    SCHEMA,
    Activation,
    Calibration,
    Decisions,
    KeptFloat,
    QuantizedNode,
    graph_sha256,
)
from edgekit.export.graph import (
    at_least_opset,
    constants,
    consumers,
    head_nodes,
    is_weighted,
    reads,
    weight_axis,
    with_initializers,
)
from edgekit.export.onnx_file import read_onnx
from edgekit.export.qdq import DIALECTS, rounded_weight, write_activations, write_qdq
from edgekit.export.statistics import MAX_SAMPLES, expected, mean_corrections, output_sqnr_db

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["SQNR_LIMIT_DB", "calibrate", "calibrated_graph", "write_int8"]

# QuantizeLinear has an axis from opset 13 on.
OPSET = 13
# Nodes of squeezenet1_1 and fastestdet, which int8 serves well, are predicted above 32 dB; the
# depthwise convolutions that make yolox_nano collapse lie below 30.
SQNR_LIMIT_DB = 30.0
SENSITIVITY_SAMPLES = 2  # one run by tensor and sample; decibels agree within 1 between samples


def calibrate(
    model: Path,
    feeds: Iterable[Mapping[str, NDArray[np.generic]]],
    *,
    task: str,
    record: Mapping[str, object],
    seed: int = 0,
    progress: Progress | None = None,
    sqnr_limit_db: float = SQNR_LIMIT_DB,
    growing: Collection[str] = (),
) -> Decisions:
    """Decide what is quantized, and with which ranges.

    Args:
        model: The fp32 ONNX file.
        feeds: Samples by input name: batches of one, or of the model's fixed batch, preprocessed.
        task: The card's task; all but "classification" keep their decoding in float.
        record: What the caller wants kept about the data; JSON values.
        seed: For whatever the quantizer draws at random.
        progress: Hears of the stages.
        sqnr_limit_db: Nodes for which a lower output SQNR is predicted stay in float, and so do
            tensors that, rounded alone, leave less at the model's last weighted nodes.
        growing: Inputs of state that grew to the last sample: no range holds what comes later.

    Returns:
        The decisions; the same model, samples and library versions give the same ones.

    Raises:
        BadInput: No samples, a missing input, no quantizable node, or NNCF refuses the model.
        MissingLibrary: onnx, onnxruntime or nncf is not installed.
    """
    listen = progress or Silent()
    prepared = _prepared(model)
    samples = list(feeds)
    _check_samples(prepared, samples)
    values = constants(prepared)
    if not any(is_weighted(node, values) for node in prepared.graph.node):
        raise BadInput(
            "The graph has no convolution or matrix product with constant weights to quantize.",
            hint="Use fp32 or fp16 for this model.",
        )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  NNCF draws from the global generator

    listen.stage("ranges")
    spreads = measure_spreads(prepared, quantizable(prepared), samples, listen)
    listen.stage("statistics")
    noise = {name: rounding_variance(spread) for name, spread in spreads.items()}
    expectations = expected(prepared, samples, noise)
    sqnr_db = {output: entry.sqnr_db for output, entry in expectations.items()}
    reasons = float_reasons(prepared, task, sqnr_db, sqnr_limit_db, spreads)
    listen.stage("calibration")
    # Its ranges are not used: it says what is rounded, what shares a scale, and corrects biases.
    found = run_nncf(prepared, samples[:MAX_SAMPLES], set(reasons), listen)
    carried = {
        method: carry_ranges(prepared, replace(found, ranges=ranges), set(reasons))
        for method, ranges in ranges_by_method(found.ranges, spreads).items()
    }
    listen.stage("sensitivity")
    ranges, unfit = _bearable(prepared, found, reasons, spreads, samples, sqnr_limit_db, listen)
    weighted = carried[LEAST_ERROR][1] - set(unfit)
    reasons |= unfit
    kept_float = _kept_float(prepared, weighted, reasons)
    if not weighted:
        reason = kept_float[0].reason if kept_float else "none was found"
        raise BadInput(
            f"No node of the graph can be quantized: {reason}.",
            hint="Use fp32 or fp16 for this model.",
        )
    warnings = tuple(mixed_ranges(prepared, ranges))
    for sentence in warnings:
        listen.note(sentence)
    calibration = Calibration(
        method="least-error",
        preset="mixed",
        samples=len(samples),
        seed=seed,
        bias="trained",
        bias_sqnr_db={},
        sqnr_limit_db=sqnr_limit_db,
        data_sha256=data_sha256(samples),
        tools=_tools(found.version),
        record=dict(record),
    )
    trained = Decisions(
        schema=SCHEMA,
        task=task,
        graph_sha256=graph_sha256(prepared),
        activations=(),
        nodes=_quantized_nodes(prepared, weighted),
        kept_float=kept_float,
        warnings=warnings,
        calibration=calibration,
        growing=_reaching(prepared, growing, set(ranges)),
    )
    listen.stage("methods")
    by_method = {method: ends for method, (ends, _) in carried.items()} | {LEAST_ERROR: ranges}
    candidates = {
        method: msgspec.structs.replace(
            trained,
            activations=tuple(_activation(name, ends[name], spreads[name]) for name in ranges),
            calibration=msgspec.structs.replace(calibration, method=method),
        )
        for method, ends in by_method.items()
    }
    method_sqnr_db = _output_sqnr_db(prepared, candidates, samples)
    trained = candidates[max(candidates, key=lambda name: method_sqnr_db[name])]
    trained = msgspec.structs.replace(
        trained,
        calibration=msgspec.structs.replace(trained.calibration, method_sqnr_db=method_sqnr_db),
    )
    listen.stage("bias")
    rounded = {node.output: rounded_weight(values[node.weight], node) for node in trained.nodes}
    biases = {
        "mean": mean_corrections(prepared, expectations, rounded),
        "nncf": found.biases,
        "trained": {},
    }
    return _best_bias(prepared, trained, biases, samples)


def _reaching(
    model: onnx.ModelProto, inputs: Collection[str], tensors: set[str]
) -> tuple[str, ...]:
    """Name the inputs on which one of the tensors depends."""
    reached = {name: {name} for name in inputs}
    for node in model.graph.node:
        for found in reached.values():
            if found & reads(node):
                found.update(node.output)
    return tuple(name for name, found in reached.items() if found & tensors)


def _activation(tensor: str, ends: Range, spread: Spread) -> Activation:
    loss = loss_of(spread, ends)
    return Activation(
        tensor,
        *ends,
        symmetric=symmetric_limit(spread, ends),
        sqnr_db=round(loss.sqnr_db, 3),
        clipping_share=round(loss.clipping_share, 6),
    )


def write_int8(model: Path, decisions: Decisions, dialect: str, output: Path) -> None:
    """Write one int8 dialect of a model as an ONNX file with explicit Q/DQ.

    Metadata, IR version and opset are the model's own; an opset under 13 is raised to 13. The
    file is written atomically, and the same arguments give the same bytes.

    Args:
        model: The fp32 ONNX file that was calibrated.
        decisions: From `calibrate` or `read_decisions`.
        dialect: "u8s8" for CPUs, "s8s8" for TensorRT. On x86 without VNNI (before Cascade Lake)
            u8s8 kernels may saturate; the certificate of such a machine shows whether they do.
        output: Where to write.

    Raises:
        BadInput: An unknown dialect, or decisions that were made for another graph.
    """
    if dialect not in DIALECTS:
        raise BadInput(
            f"There is no int8 dialect {dialect}.", hint=f"Use one of {', '.join(DIALECTS)}."
        )
    prepared = _prepared(model)
    if graph_sha256(prepared) != decisions.graph_sha256:
        raise BadInput(
            f"The quantization decisions were made for another graph than {model}.",
            hint="Run edgekit quantize again.",
        )
    quantized = write_qdq(prepared, decisions, DIALECTS[dialect])
    write_bytes(output, quantized.SerializeToString(deterministic=True))


def calibrated_graph(path: Path) -> str:
    """Return the sha256 by which decisions name the graph that they were made for."""
    return graph_sha256(_prepared(path))


def _prepared(path: Path) -> onnx.ModelProto:
    return with_initializers(at_least_opset(read_onnx(path), OPSET))


def _check_samples(
    model: onnx.ModelProto, samples: list[Mapping[str, NDArray[np.generic]]]
) -> None:
    if not samples:
        raise BadInput(
            "There are no calibration samples.", hint="Name a data set by --calibration."
        )
    initializers = {tensor.name for tensor in model.graph.initializer}
    needed = [entry.name for entry in model.graph.input if entry.name not in initializers]
    missing = [name for name in needed if name not in samples[0]]
    if missing:
        raise BadInput(
            f"The calibration samples lack the input {missing[0]}.",
            hint=f"Give an array for each of {', '.join(needed)}.",
        )


def _quantized_nodes(model: onnx.ModelProto, weighted: set[str]) -> tuple[QuantizedNode, ...]:
    """Describe every node whose weight is quantized, with the bias it was trained with."""
    values = constants(model)
    described = []
    for node in model.graph.node:
        if node.output[0] not in weighted:
            continue
        weight = values[node.input[1]]
        axis = weight_axis(node, weight.ndim)
        bias = values.get(node.input[2]) if len(node.input) > 2 else None
        described.append(
            QuantizedNode(
                output=node.output[0],
                op=node.op_type,
                weight=node.input[1],
                axis=axis,
                absolute_maximum=weight_maximum(weight, axis),
                bias=None if bias is None else tuple(float(value) for value in bias.ravel()),
            )
        )
    return tuple(described)


def _kept_float(
    model: onnx.ModelProto, weighted: set[str], reasons: Mapping[str, str]
) -> tuple[KeptFloat, ...]:
    """Describe every node with a constant weight that stays in float."""
    values = constants(model)
    return tuple(
        KeptFloat(
            node.output[0],
            node.op_type,
            reasons.get(node.output[0], "its input is not quantized"),
        )
        for node in model.graph.node
        if is_weighted(node, values) and node.output[0] not in weighted
    )


def _bearable(
    model: onnx.ModelProto,
    found: NncfResult,
    reasons: Mapping[str, str],
    spreads: Mapping[str, Spread],
    samples: list[Mapping[str, NDArray[np.generic]]],
    limit_db: float,
    progress: Progress,
) -> tuple[dict[str, Range], dict[str, str]]:
    """Find the ranges over which the network bears that a tensor is rounded.

    The range with the least error is kept where the last weighted nodes' outputs keep `limit_db`
    with the tensor rounded alone; else another one that does so.

    Args:
        model: The float model.
        found: What is rounded, and what shares a scale.
        reasons: Why nodes stay in float already.
        spreads: Of the tensors.
        samples: Arrays by input name.
        limit_db: What a tensor must leave.
        progress: Hears of the tensors.

    Returns:
        The ranges of the tensors that stay, and why the readers of the others stay in float.
    """
    methods = ranges_by_method(found.ranges, spreads)
    picked = methods.pop(LEAST_ERROR)
    ranges, _ = carry_ranges(model, replace(found, ranges=picked), set(reasons))
    last, readers = head_nodes(model)[1], consumers(model)
    unfit: dict[str, str] = {}
    dropped = set[str]()
    for tensor in progress.track([name for name in ranges if name not in last], "tensors"):
        value = _alone_sqnr_db(model, tensor, ranges[tensor], samples)
        for other in methods.values() if not value >= limit_db else ():
            # The tensor's own error is not all that counts: the rest of the network weighs it.
            shared = _sharing(tensor, found.ranges, other)
            again, _ = carry_ranges(
                model, replace(found, ranges={**picked, **shared}), set(reasons)
            )
            if (
                again[tensor] != ranges[tensor]
                and (better := _alone_sqnr_db(model, tensor, again[tensor], samples)) >= limit_db
            ):
                value, picked, ranges = better, {**picked, **shared}, again
        if not value >= limit_db:
            dropped.add(tensor)
            for reader in readers[tensor]:
                if reader.input[0] == tensor:
                    unfit[reader.output[0]] = (
                        f"8 bits of its input alone leave {value:.1f} dB at the output, under "
                        f"{limit_db:g}; {loss_of(spreads[tensor], ranges[tensor])}"
                    )
    return {name: ends for name, ends in ranges.items() if name not in dropped}, unfit


def _alone_sqnr_db(
    model: onnx.ModelProto,
    tensor: str,
    ends: Range,
    samples: list[Mapping[str, NDArray[np.generic]]],
) -> float:
    """Measure the SQNR of the last weighted nodes' outputs with one tensor quantized alone.

    What the prediction by node cannot see: how much the rest of the network amplifies the noise.
    """
    return output_sqnr_db(
        model,
        write_activations(model, [Activation(tensor, *ends)], DIALECTS["u8s8"]),
        head_nodes(model)[1],
        samples[:SENSITIVITY_SAMPLES],
    )


def _sharing(
    tensor: str,
    scales: Mapping[str, Range],
    ranges: Mapping[str, Range],
) -> dict[str, Range]:
    """The ranges of a tensor and of those that share its scale."""
    own = scales.get(tensor)
    return {name: ends for name, ends in ranges.items() if scales[name] == own}


def _best_bias(
    model: onnx.ModelProto,
    trained: Decisions,
    biases: Mapping[str, Mapping[str, NDArray[np.float32]]],
    samples: list[Mapping[str, NDArray[np.generic]]],
) -> Decisions:
    """Keep the biases that reproduce the float model best, because none always does.

    NNCF's fast correction helps most models a little and costs darknet_tiny 4 points of top-1.
    """
    candidates = {
        name: msgspec.structs.replace(
            trained,
            nodes=tuple(
                msgspec.structs.replace(node, bias=_values(corrected[node.output]))
                if node.bias is not None and node.output in corrected
                else node
                for node in trained.nodes
            ),
        )
        for name, corrected in biases.items()
    }
    sqnr_db = _output_sqnr_db(model, candidates, samples)
    best = max(candidates, key=lambda name: sqnr_db[name])
    return msgspec.structs.replace(
        candidates[best],
        calibration=msgspec.structs.replace(trained.calibration, bias=best, bias_sqnr_db=sqnr_db),
    )


def _output_sqnr_db(
    model: onnx.ModelProto,
    candidates: Mapping[str, Decisions],
    samples: list[Mapping[str, NDArray[np.generic]]],
) -> dict[str, float]:
    """Measure the SQNR of the last weighted nodes' outputs by candidate, dB."""
    last = head_nodes(model)[1]
    return {
        name: round(
            output_sqnr_db(model, write_qdq(model, decisions, DIALECTS["u8s8"]), last, samples), 3
        )
        for name, decisions in candidates.items()
    }


def _values(array: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(float(value) for value in array.ravel())


def _tools(nncf_version: str) -> dict[str, str]:
    import onnx
    import onnxruntime

    tools: dict[str, Any] = {
        "nncf": nncf_version,
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    return {name: str(version) for name, version in tools.items()}

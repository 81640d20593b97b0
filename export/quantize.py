"""Post-training int8 quantization: calibrate once, write any dialect from the decisions."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.progress import Progress, Silent
from edgekit.export.calibrate import (
    carry_ranges,
    data_sha256,
    float_reasons,
    mixed_ranges,
    run_nncf,
    weight_maximum,
)
from edgekit.export.clipping import symmetric_limits
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
    load,
    weight_axis,
    with_initializers,
)
from edgekit.export.qdq import DIALECTS, rounded_weight, write_activations, write_qdq
from edgekit.export.statistics import expected, mean_corrections, output_sqnr_db

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
    preset: str = "mixed",
    sqnr_limit_db: float = SQNR_LIMIT_DB,
) -> Decisions:
    """Decide what is quantized, and with which ranges.

    Args:
        model: The fp32 ONNX file.
        feeds: Samples by input name: batches of one, or of the model's fixed batch, preprocessed.
        task: The card's task; all but "classification" keep their decoding in float.
        record: What the caller wants kept about the data; JSON values.
        seed: For whatever the quantizer draws at random.
        progress: Hears of the stages.
        preset: "mixed" (asymmetric activation ranges) or "performance" (symmetric).
        sqnr_limit_db: Nodes for which a lower output SQNR is predicted stay in float, and so do
            tensors that, rounded alone, leave less at the model's last weighted nodes.

    Returns:
        The decisions; the same model, samples and library versions give the same ones.

    Raises:
        BadInput: No samples, a missing input, no quantizable node, or NNCF refuses the model.
        MissingLibrary: onnx, onnxruntime or nncf is not installed.
    """
    listen = progress or Silent()
    prepared = _prepared(model)
    samples = list(feeds)
    _check_samples(model, prepared, samples)
    values = constants(prepared)
    if not any(is_weighted(node, values) for node in prepared.graph.node):
        raise BadInput(
            f"{model} has no convolution or matrix product with constant weights to quantize.",
            hint="Use fp32 or fp16 for this model.",
        )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  NNCF draws from the global generator

    listen.stage("statistics")
    expectations = expected(prepared, samples)
    sqnr_db = {output: entry.sqnr_db for output, entry in expectations.items()}
    reasons = float_reasons(prepared, task, sqnr_db, sqnr_limit_db)
    listen.stage("calibration")
    found = run_nncf(prepared, samples, set(reasons), preset)
    ranges, weighted = carry_ranges(prepared, found, set(reasons))
    listen.stage("sensitivity")
    for tensor, value in _alone_sqnr_db(prepared, ranges, samples, listen).items():
        if value < sqnr_limit_db:
            del ranges[tensor]
            for reader in consumers(prepared)[tensor]:
                if reader.input[0] == tensor and reader.output[0] in weighted:
                    weighted.discard(reader.output[0])
                    reasons[reader.output[0]] = (
                        f"rounding its input alone leaves {value:.1f} dB at the output, "
                        f"under {sqnr_limit_db:g}"
                    )
    kept_float = _kept_float(prepared, weighted, reasons)
    if not weighted:
        reason = kept_float[0].reason if kept_float else "none was found"
        raise BadInput(
            f"No node of {model} can be quantized: {reason}.",
            hint="Use fp32 or fp16 for this model.",
        )
    limits = symmetric_limits(prepared, ranges, samples)
    warnings = tuple(mixed_ranges(prepared, ranges))
    for sentence in warnings:
        listen.note(sentence)
    calibration = Calibration(
        method="nncf-min-max",
        preset=preset,
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
        activations=tuple(
            Activation(name, *ends, symmetric=limits[name]) for name, ends in ranges.items()
        ),
        nodes=_quantized_nodes(prepared, weighted),
        kept_float=kept_float,
        warnings=warnings,
        calibration=calibration,
    )
    listen.stage("bias")
    rounded = {node.output: rounded_weight(values[node.weight], node) for node in trained.nodes}
    biases = {
        "mean": mean_corrections(prepared, expectations, rounded),
        "nncf": found.biases,
        "trained": {},
    }
    return _best_bias(prepared, trained, biases, samples)


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
    return with_initializers(at_least_opset(load(path), OPSET))


def _check_samples(
    path: Path, model: onnx.ModelProto, samples: list[Mapping[str, NDArray[np.generic]]]
) -> None:
    if not samples:
        raise BadInput(
            f"There are no calibration samples for {path}.",
            hint="Name a folder with images by --calibration.",
        )
    initializers = {tensor.name for tensor in model.graph.initializer}
    needed = [entry.name for entry in model.graph.input if entry.name not in initializers]
    missing = [name for name in needed if name not in samples[0]]
    if missing:
        raise BadInput(
            f"The calibration samples lack the input {missing[0]} of {path}.",
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


def _alone_sqnr_db(
    model: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    samples: list[Mapping[str, NDArray[np.generic]]],
    progress: Progress,
) -> dict[str, float]:
    """Measure the SQNR of the last weighted nodes' outputs with one tensor quantized at a time.

    What the prediction by node cannot see: how much the rest of the network amplifies the noise.
    """
    last = head_nodes(model)[1]
    few = samples[:SENSITIVITY_SAMPLES]
    return {
        tensor: output_sqnr_db(
            model,
            write_activations(model, [Activation(tensor, *ranges[tensor])], DIALECTS["u8s8"]),
            last,
            few,
        )
        for tensor in progress.track(list(ranges), "tensors", len(ranges))
        if tensor not in last
    }


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
    last = head_nodes(model)[1]
    sqnr_db = {
        name: round(
            output_sqnr_db(model, write_qdq(model, decisions, DIALECTS["u8s8"]), last, samples), 3
        )
        for name, decisions in candidates.items()
    }
    best = max(candidates, key=lambda name: sqnr_db[name])
    return msgspec.structs.replace(
        candidates[best],
        calibration=msgspec.structs.replace(trained.calibration, bias=best, bias_sqnr_db=sqnr_db),
    )


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

"""Post-training int8 quantization: calibrate once, write any dialect from the decisions."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import BadInput
from edgekit.core.files import write_bytes
from edgekit.core.progress import Progress, Silent
from edgekit.export.calibrate import (
    axis_of,
    carry_ranges,
    data_sha256,
    float_reasons,
    mixed_ranges,
    run_nncf,
    weight_maximum,
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
    is_weighted,
    load,
    with_initializers,
)
from edgekit.export.qdq import DIALECTS, write_qdq
from edgekit.export.statistics import predicted_sqnr_db

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["SQNR_LIMIT_DB", "calibrate", "write_int8"]

# QuantizeLinear has an axis from opset 13 on.
OPSET = 13
# Measured on the models of docs/quantization.md: nodes of healthy int8 models lie above 32 dB,
# the depthwise convolutions that make yolox_nano collapse lie below 30.
SQNR_LIMIT_DB = 30.0


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
        sqnr_limit_db: Nodes for which a lower output SQNR is predicted stay in float.

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
    sqnr_db = predicted_sqnr_db(prepared, samples)
    reasons = float_reasons(prepared, task, sqnr_db, sqnr_limit_db)
    listen.stage("calibration")
    found = run_nncf(prepared, samples, set(reasons), preset)
    ranges, weighted = carry_ranges(prepared, found, set(reasons))
    nodes, kept_float = _nodes(prepared, weighted, found.biases, reasons)
    if not nodes:
        raise BadInput(
            f"No node of {model} can be quantized: {kept_float[0].reason if kept_float else 'none found'}.",
            hint="Use fp32 or fp16 for this model.",
        )
    warnings = tuple(mixed_ranges(prepared, ranges))
    for sentence in warnings:
        listen.note(sentence)
    return Decisions(
        schema=SCHEMA,
        task=task,
        graph_sha256=graph_sha256(prepared),
        activations=tuple(Activation(name, *limits) for name, limits in ranges.items()),
        nodes=nodes,
        kept_float=kept_float,
        warnings=warnings,
        calibration=Calibration(
            method="nncf-min-max+fast-bias-correction",
            preset=preset,
            samples=len(samples),
            seed=seed,
            sqnr_limit_db=sqnr_limit_db,
            data_sha256=data_sha256(samples),
            tools=_tools(found.version),
            record=dict(record),
        ),
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


def _nodes(
    model: onnx.ModelProto,
    weighted: set[str],
    biases: Mapping[str, NDArray[np.float32]],
    reasons: Mapping[str, str],
) -> tuple[tuple[QuantizedNode, ...], tuple[KeptFloat, ...]]:
    """Describe every node with a weight, in graph order."""
    values = constants(model)
    quantized, kept_float = [], []
    for node in model.graph.node:
        if not is_weighted(node, values):
            continue
        output = node.output[0]
        if output not in weighted:
            reason = reasons.get(output, "its input is not quantized")
            kept_float.append(KeptFloat(output, node.op_type, reason))
            continue
        weight = values[node.input[1]]
        axis = axis_of(node, weight)
        bias = biases.get(output)
        quantized.append(
            QuantizedNode(
                output=output,
                op=node.op_type,
                weight=node.input[1],
                axis=axis,
                absolute_maximum=weight_maximum(weight, axis),
                bias=None if bias is None else tuple(float(value) for value in bias.ravel()),
            )
        )
    return tuple(quantized), tuple(kept_float)


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

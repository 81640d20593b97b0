"""What a calibration decided, as a file of its own: `quantization.json`.

The decisions hold every range and every choice, so that a dialect can be written again without the
images. Nodes are named by their first output, because ONNX node names are optional and may repeat,
and a tensor has exactly one producer.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.fields import Amount, Count, Share
from edgekit.core.files import write_bytes
from edgekit.core.json_text import as_kind, read_json
from edgekit.core.texts import shown

if TYPE_CHECKING:
    import onnx

__all__ = [
    "SCHEMA",
    "Activation",
    "Calibration",
    "Decisions",
    "KeptFloat",
    "QuantizedNode",
    "graph_sha256",
    "read_decisions",
    "write_decisions",
]

SCHEMA = "edgekit.quantization/1"
_HINT = "Name a quantization.json that edgekit quantize wrote."


class Activation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor that is quantized, with one range for the whole tensor.

    One range per tensor, never per channel: ONNX Runtime fuses and TensorRT accepts no other.

    Attributes:
        tensor: Its name in the float model.
        minimum: Smallest value.
        maximum: Largest value.
        symmetric: Magnitude at which a symmetric dialect clips; null takes the larger end.
        sqnr_db: What 8 bits over this range leave of the tensor itself; null where not measured.
        clipping_share: Share of that squared error that values outside the range cause, 0 to 1; the
            rest is rounding.
    """

    tensor: str
    minimum: float
    maximum: float
    symmetric: Amount | None = None
    sqnr_db: float | None = None
    clipping_share: Share | None = None

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise ValueError(f"the range of {self.tensor!r} ends below its start")


class QuantizedNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node whose weight is quantized.

    Attributes:
        output: The node's first output tensor.
        op: ONNX operator, for instance "Conv".
        weight: Name of the weight's initializer.
        axis: Axis of the weight that has a scale for each index; null for one scale in all.
        absolute_maximum: Largest magnitude by index of `axis`; one value where axis is null.
        bias: The bias to write, in float; null where the node has none.
    """

    output: str
    op: str
    weight: str
    axis: Count | None
    absolute_maximum: tuple[Amount, ...]
    bias: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if self.axis is None and len(self.absolute_maximum) != 1:
            raise ValueError(f"{self.output!r} has no axis, and so takes one absolute_maximum")


class KeptFloat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node with a weight that stays in float, and why."""

    output: str
    op: str
    reason: str


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the ranges came about.

    Attributes:
        method: Whose ranges these are: "mean-extremes" (means of each sample's extremes),
            "extremes" (of all samples), or "least-error" (by tensor, whichever of both leaves
            less squared error).
        preset: The preset of NNCF, which says what is rounded.
        samples: Number of calibration samples.
        seed: Seed of whatever was drawn at random.
        bias: "mean", "nncf" (corrected by either) or "trained": what reproduced the float outputs
            best.
        bias_sqnr_db: The SQNR of the last weighted nodes' outputs on calibration samples, by bias.
        sqnr_limit_db: Nodes with a lower predicted signal to noise ratio stay in float.
        data_sha256: Over the arrays in the order in which they were fed.
        tools: Library versions.
        record: What the caller said about the data (folder, split, card, ...).
        method_sqnr_db: The SQNR of the last weighted nodes' outputs, by method.
    """

    method: Literal["mean-extremes", "extremes", "least-error"]
    preset: Literal["mixed", "performance"]
    samples: Count
    seed: int
    bias: Literal["mean", "nncf", "trained"]
    bias_sqnr_db: dict[str, float]
    sqnr_limit_db: float
    data_sha256: str
    tools: dict[str, str]
    record: dict[str, Any]
    method_sqnr_db: dict[str, float] = {}


class Decisions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One calibration's result, from which every int8 dialect is written.

    Attributes:
        schema: Always "edgekit.quantization/1".
        task: The task on the model's card.
        graph_sha256: The graph that was calibrated, see `graph_sha256`.
        activations: Quantized tensors in graph order.
        nodes: Nodes with quantized weights, in graph order.
        kept_float: Nodes with weights that stay in float, in graph order.
        warnings: Sentences on quantized tensors that mix ranges.
        calibration: How the ranges came about.
        growing: Inputs of state that a rounded tensor depends on and that still grew after the
            last call: the ranges do not hold what comes later.
    """

    schema: str
    task: str
    graph_sha256: str
    activations: tuple[Activation, ...]
    nodes: tuple[QuantizedNode, ...]
    kept_float: tuple[KeptFloat, ...]
    warnings: tuple[str, ...]
    calibration: Calibration
    growing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind, names in (
            ("tensor", [one.tensor for one in self.activations]),
            ("node", [*(n.output for n in self.nodes), *(n.output for n in self.kept_float)]),
        ):
            name, count = next(iter(Counter(names).most_common(1)), ("", 0))
            if count > 1:
                raise ValueError(f"the {kind} {shown(name)} is decided twice")

    def to_json(self) -> bytes:
        """Return the document as indented JSON; the same decisions give the same bytes."""
        ordered = msgspec.structs.replace(
            self,
            calibration=msgspec.structs.replace(
                self.calibration,
                tools=dict(sorted(self.calibration.tools.items())),
                record=dict(sorted(self.calibration.record.items())),
            ),
        )
        return msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n"


def write_decisions(decisions: Decisions, path: Path) -> None:
    """Write `quantization.json` atomically.

    Raises:
        BadInput: The file cannot be written.
    """
    write_bytes(path, decisions.to_json())


def read_decisions(path: Path) -> Decisions:
    """Read and check `quantization.json`.

    Raises:
        BadInput: The file is missing, no JSON, of another schema, or has unknown or missing keys.
    """
    found = read_json(path, hint=_HINT)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise BadInput(f"{path} is no {SCHEMA} document.", hint=_HINT)
    return as_kind(found, path, Decisions, hint="Run edgekit quantize again.")


def graph_sha256(model: onnx.ModelProto) -> str:
    """Return the hex sha256 of the graph and its opsets.

    The metadata (where the card lives) is left out: a corrected card does not invalidate ranges.
    """
    digest = hashlib.sha256()
    for opset in sorted(model.opset_import, key=lambda entry: entry.domain):
        digest.update(f"{opset.domain}:{opset.version};".encode())
    digest.update(model.graph.SerializeToString(deterministic=True))
    return digest.hexdigest()

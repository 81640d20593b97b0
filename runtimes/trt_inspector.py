"""What an engine of TensorRT says of its own layers, by its inspector.

Written from NVIDIA's documentation of `IEngineInspector` and its JSON (TensorRT Developer Guide,
"Engine Inspector"); it needs a GPU, and none was at hand.
"""

from __future__ import annotations

import re
from typing import Any

from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json
from edgekit.core.runtime import NodePlacement, Placement
from edgekit.core.texts import shown

__all__ = ["placement_of"]

_DEVICE = "gpu"
# The words for a tensor's type differ between versions: "FP16 NCHW", "Half", "Datatype: kHALF".
_WORDS = (
    ("bf16", re.compile(r"bf16|bfloat", re.IGNORECASE)),
    ("fp16", re.compile(r"fp16|half|float16", re.IGNORECASE)),
    ("fp8", re.compile(r"fp8|e4m3", re.IGNORECASE)),
    ("fp4", re.compile(r"fp4|e2m1", re.IGNORECASE)),
    ("int8", re.compile(r"int8", re.IGNORECASE)),
    ("int64", re.compile(r"int64", re.IGNORECASE)),
    ("int32", re.compile(r"int32", re.IGNORECASE)),
    ("bool", re.compile(r"bool", re.IGNORECASE)),
    ("fp32", re.compile(r"fp32|float", re.IGNORECASE)),
)


def placement_of(text: str) -> Placement:
    """Return the layers of an engine with the precision that each computes in.

    A layer computes in the type of what it reads first: an int8 convolution may well give floats
    away. Operations are not counted: fused layers do not say their shapes.

    Args:
        text: JSON of `get_engine_information`.

    Raises:
        BadInput: It is none.
    """
    try:
        content = parse_json(text, "The answer of TensorRT's inspector")
        layers = list(content["Layers"])
    except (BadInput, LookupError, TypeError) as error:
        raise BadInput(
            f"TensorRT's inspector does not answer as documented: {shown(text)}.",
            hint="Tell us the version: edgekit doctor --json.",
        ) from error
    return Placement(nodes=tuple(_node(layer) for layer in layers))


def _node(layer: Any) -> NodePlacement:
    if not isinstance(layer, dict):
        # An engine built without details names its layers and no more.
        return NodePlacement(name=str(layer), op="", device=_DEVICE, precision="unknown")
    tensors = [*layer.get("Inputs", ()), *layer.get("Outputs", ())]
    return NodePlacement(
        name=str(layer.get("Name", "")),
        op=str(layer.get("LayerType", "")),
        device=_DEVICE,
        precision=next((_precision(one) for one in tensors), "unknown"),
    )


def _precision(tensor: Any) -> str:
    fields = tensor if isinstance(tensor, dict) else {}
    said = " ".join(
        str(fields[key]) for key in ("Datatype", "Format/Datatype", "Format") if key in fields
    )
    return next((name for name, words in _WORDS if words.search(said)), "unknown")

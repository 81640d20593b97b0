"""Kinds of fields of records whose file may come from anyone: checked where the file is read.

A record that the program itself makes is not checked: what it holds was measured or counted.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["DTYPES", "Amount", "Count", "DType", "Positive", "Share", "Size", "TensorType"]

# Of the tensors that are fed and read, by NumPy's names.
DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)
# Of those that a graph can have besides: ml_dtypes' names, and "object" for text.
_GRAPH_DTYPES = (
    "object",
    "complex64",
    "complex128",
    "bfloat16",
    r"float8_\w+",
    r"float4_\w+",
    "u?int[24]",
)

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# Of an axis: no array has a larger one, and products of a few of them stay exact.
Size = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
# A time, a rate, a size that is no whole number; its unit is in the field's name.
Amount = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
DType = Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(sorted(DTYPES))})$")]
TensorType = Annotated[
    str, msgspec.Meta(pattern=f"^({'|'.join((*sorted(DTYPES), *_GRAPH_DTYPES))})$")
]

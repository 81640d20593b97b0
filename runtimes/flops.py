"""Operations of a layer, under the name that the runtimes know: the rule is core's."""

from __future__ import annotations

from edgekit.core.flops import (
    attention,
    convolution,
    matmul,
    recurrent,
    transposed_convolution,
)

__all__ = ["attention", "convolution", "matmul", "recurrent", "transposed_convolution"]

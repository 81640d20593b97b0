"""Operations of the layers that do arithmetic, from the shapes they run with: the one rule.

A multiply and an add count as two, whatever the number format. Element-wise layers, normalisation
and pooling count as none: they are a few per cent of any network worth deploying. A bias counts as
none too, as in the usual tables (Sze et al., Efficient Processing of Deep Neural Networks, 2017,
section IV).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["attention", "convolution", "matmul", "recurrent", "transposed_convolution"]

Shape = Sequence[int]


def convolution(output: Shape, weight: Shape) -> int:
    """Operations of a convolution.

    Args:
        output: (N, O, spatial…) in any order of axes.
        weight: (O, I / groups, kernel…).
    """
    return 2 * math.prod(output) * math.prod(weight[1:])


def transposed_convolution(data: Shape, weight: Shape) -> int:
    """Operations of a transposed convolution: every input value meets the whole kernel.

    Args:
        data: (N, I, spatial…), the input.
        weight: (I, O / groups, kernel…).
    """
    return 2 * math.prod(data) * math.prod(weight[1:])


def matmul(left: Shape, output: Shape) -> int:
    """Operations of a matrix product, `left` transposed or not.

    Args:
        left: (…, M, K) or (…, K, M), or (K,).
        output: (…, M, N).
    """
    if not left:
        return 0
    inner = left[-1]
    if len(left) > 1 and len(output) > 1 and output[-2] not in (left[-2], 0):
        inner = left[-2] if output[-2] == left[-1] else left[-1]
    return 2 * math.prod(output) * inner


def recurrent(data: Shape, weights: Shape, recurrence: Shape) -> int:
    """Operations of an RNN, GRU or LSTM over a sequence, gates and directions in the weights.

    Args:
        data: (T, B, I), (B, T, I) or (B, I).
        weights: (directions, gates x H, I), or without the first axis.
        recurrence: (directions, gates x H, H), or without the first axis.
    """
    return 2 * math.prod(data[:-1]) * (math.prod(weights) + math.prod(recurrence))


def attention(query: Shape, key: Shape) -> int:
    """Operations of scaled dot-product attention: scores, then their product with the values.

    Args:
        query: (…, L, E).
        key: (…, S, E).
    """
    return 4 * math.prod(query) * key[-2]

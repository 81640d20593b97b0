"""PyTorch operators that edgekit translates to ONNX itself, where the exporter's way is costly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["averaging_matrix", "translations"]


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the custom translation table for torch.onnx.export.

    adaptive_avg_pool2d with sizes that do not divide becomes hundreds of Gather and Add by the
    exporter; as two products with constant matrices it is two nodes.
    """
    import torch

    return {torch.ops.aten.adaptive_avg_pool2d.default: _adaptive_avg_pool2d}


def averaging_matrix(size: int, cells: int) -> npt.NDArray[np.float32]:
    """Return the matrix that averages an axis adaptively.

    Cell i covers floor(i * size / cells) to ceil((i + 1) * size / cells), as PyTorch's
    adaptive_avg_pool does (aten/src/ATen/native/AdaptivePooling.h).

    Returns:
        (cells, size) float32; each row sums to 1.
    """
    matrix = np.zeros((cells, size), np.float32)
    for cell in range(cells):
        first, last = cell * size // cells, -(-(cell + 1) * size // cells)
        matrix[cell, first:last] = 1 / (last - first)
    return matrix


def _adaptive_avg_pool2d(self: Any, output_size: Sequence[int]) -> Any:
    import onnx_ir
    import onnxscript

    # Its stubs describe eager values, and here values of the graph pass through.
    op: Any = onnxscript.opset18
    height, width = self.shape[-2], self.shape[-1]
    rows, columns = output_size
    if rows == columns == 1:
        return op.ReduceMean(self, op.Constant(value_ints=[-2, -1]), keepdims=1)
    if not isinstance(height, int) or not isinstance(width, int):
        # The matrices depend on the size. The caller falls back to the other exporter.
        raise NotImplementedError("adaptive_avg_pool2d over an axis of dynamic size")
    if height % rows == 0 and width % columns == 0:
        kernel = [height // rows, width // columns]
        return op.AveragePool(self, kernel_shape=kernel, strides=kernel)
    down = op.Constant(value=onnx_ir.tensor(averaging_matrix(height, rows)))
    across = op.Constant(value=onnx_ir.tensor(averaging_matrix(width, columns).T.copy()))
    return op.MatMul(op.MatMul(down, self), across)

"""How far two arrays are apart: the numbers behind every parity check."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["SQNR_LIMIT_DB", "ParityMeter", "TensorParity", "rows_told"]

# Starting limits by precision (docs/certificate.md argues them). SQNR = 10 log10(signal / error),
# in decibels; an error of one part in 10^4 in every value is 80 dB.
SQNR_LIMIT_DB = {"fp32": 80.0, "tf32": 30.0, "fp16": 30.0, "bf16": 20.0, "int8": 10.0}

# Above this a longer figure means nothing in float32; it also stands for "bitwise equal".
_SQNR_CEILING_DB = 300.0


class TensorParity(msgspec.Struct, frozen=True):
    """Differences of one output from the reference, over every element of every input.

    Attributes:
        max_abs: Largest absolute difference; infinite where one side is not finite or the shapes
            differ.
        max_rel: Largest absolute difference over the reference's largest magnitude.
        cosine: Cosine of the angle between the two, taken as one long vector each.
        sqnr_db: Signal to quantization noise ratio, 10 log10(sum ref^2 / sum (ref - out)^2), dB.
        finite: Whether every value of the output is finite.
        moved: Rows that were compared with the row of another place, because a top-k or a
            suppression chose them.
        unjudged: Rows of which nothing tells whether they are right, see edgekit.benchmarks.rows.
    """

    max_abs: float
    max_rel: float
    cosine: float
    sqnr_db: float
    finite: bool
    moved: int = 0
    unjudged: int = 0


def rows_told(outputs: Iterable[tuple[str, int, int]]) -> str:
    """Say how sets of rows were compared; empty where all stood in the reference's places.

    Args:
        outputs: Name, rows moved, and rows unjudged of each, see TensorParity.
    """
    sets: dict[tuple[int, int], list[str]] = {}
    for name, moved, unjudged in outputs:
        if moved or unjudged:
            sets.setdefault((moved, unjudged), []).append(repr(name))
    return " ".join(
        f"The rows of {', '.join(names)} were chosen by their scores and are compared as a set: "
        f"{moved} with the row of another place, {unjudged} not at all, because nothing tells "
        "which row theirs is."
        if unjudged
        else f"The rows of {', '.join(names)} were chosen by their scores and are compared as a "
        f"set: {moved} with the row of another place, where scores tie."
        for (moved, unjudged), names in sets.items()
    )


class ParityMeter:
    """Adds up the comparison of one output over many inputs."""

    def __init__(self) -> None:
        self._signal = 0.0
        self._other = 0.0
        self._noise = 0.0
        self._dot = 0.0
        self._max_abs = 0.0
        self._peak = 0.0
        self._finite = True
        self._broken = False

    def add(self, reference: npt.NDArray[np.generic], output: npt.NDArray[np.generic]) -> None:
        """Compare one pair of arrays of the same shape, any numeric dtype."""
        if output.dtype.kind == "f" and not bool(np.isfinite(output).all()):
            self._finite = False
        if reference.shape != output.shape:
            self._broken = True
            return
        ref = reference.astype(np.float64, copy=False).ravel()
        out = output.astype(np.float64, copy=False).ravel()
        # Where the reference itself is infinite (a mask, say) the same infinity is no difference.
        same = ref == out
        both = np.isfinite(ref) & np.isfinite(out)
        if not bool((same | both).all()):
            self._broken = True
        ref, out = ref[both], out[both]
        if ref.size == 0:
            return
        error = ref - out
        self._signal += float(ref @ ref)
        self._other += float(out @ out)
        self._noise += float(error @ error)
        self._dot += float(ref @ out)
        self._max_abs = max(self._max_abs, float(np.abs(error).max()))
        self._peak = max(self._peak, float(np.abs(ref).max()))

    def result(self) -> TensorParity:
        """Return the figures over everything added so far."""
        if self._broken:
            return TensorParity(float("inf"), float("inf"), 0.0, -_SQNR_CEILING_DB, self._finite)
        if self._noise == 0:
            return TensorParity(0.0, 0.0, 1.0, _SQNR_CEILING_DB, self._finite)
        norm = (self._signal * self._other) ** 0.5
        ratio = self._signal / self._noise
        sqnr = 10 * float(np.log10(ratio)) if ratio > 0 else -_SQNR_CEILING_DB
        return TensorParity(
            max_abs=self._max_abs,
            max_rel=self._max_abs / self._peak if self._peak else float("inf"),
            cosine=self._dot / norm if norm else 0.0,
            sqnr_db=max(-_SQNR_CEILING_DB, min(_SQNR_CEILING_DB, sqnr)),
            finite=self._finite,
        )

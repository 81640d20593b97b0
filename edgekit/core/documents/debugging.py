"""`debug parity`: where a variant leaves the fp32 graph."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents.document import Document, OutputParity

__all__ = ["DebugParityDocument", "ParityNode", "ParityValue", "TappedTensor"]


class ParityValue(msgspec.Struct, frozen=True, kw_only=True):
    """One element of a tensor that is far from what it should be.

    Attributes:
        case: Which of the inputs, from 0; where state loops, which call.
        index: Of the element, one number an axis.
        expected: In the reference; "nan", "inf" or "-inf" where it is no number.
        got: Likewise.
    """

    case: int
    index: tuple[int, ...]
    expected: float | str
    got: float | str


class ParityNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node whose output is judged.

    Attributes:
        role: Of its graph.
        name: In the variant's graph; its first output where it has no name.
        op: "Conv".
        module: Path in the user's PyTorch model, "features.3.squeeze"; "" for the model itself,
            None where the graph does not say.
        tensor: Its output.
        sqnr_db: Of that output against the fp32 graph's.
        before_db: The worst SQNR of the tensors that it was made of; None where those are inputs.
        own_sqnr_db: Of that output when the node alone gets the fp32 graph's values: low, and the
            node itself is wrong; high, and the error was there before. None where the node cannot
            be run alone.
        values: The elements that are furthest off, worst first.
    """

    role: str
    name: str
    op: str
    module: str | None
    tensor: str
    sqnr_db: float
    before_db: float | None
    own_sqnr_db: float | None = None
    values: tuple[ParityValue, ...] = ()


class TappedTensor(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor that was looked at.

    Attributes:
        round: In which round, from 1.
        sqnr_db: None where it is zero throughout the reference.
    """

    round: int
    role: str
    tensor: str
    sqnr_db: float | None


class DebugParityDocument(Document, frozen=True, kw_only=True):
    """Where a variant on a target leaves the fp32 graph.

    Attributes:
        model: The suspect.
        against: What it is compared with, run by ONNX Runtime with optimizations off.
        limit_db: Of the entry's precision.
        verdict: FAIL where an output is below the limit.
        outputs: The variant's outputs against the fp32 graph's.
        node: On FAIL, the first node whose output leaves the limit; None where none was found, and
            the notes say why.
        largest_loss: The node that adds most of the error, where no node is out of the limit, or
            where `node` only received the error that was there before it.
        rounds: Compilations with inner tensors as outputs.
        runs: Runs of the variant over all inputs, the one without inner tensors included.
        trail: What was looked at, round by round.
        notes: Sentences worth telling.
    """

    schema: Literal["edgekit.parity/1"] = "edgekit.parity/1"
    model: str
    against: str
    target: str
    variant: str
    compute: str
    limit_db: float
    verdict: Verdict
    outputs: tuple[OutputParity, ...]
    node: ParityNode | None
    largest_loss: ParityNode | None
    rounds: int
    runs: int
    trail: tuple[TappedTensor, ...]
    notes: tuple[str, ...] = ()

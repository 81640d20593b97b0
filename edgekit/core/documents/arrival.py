"""`verify` and `pack`: a bundle checked, and what the device gets of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Check, Verdict
from edgekit.core.documents.document import Document

__all__ = [
    "BundleSignature",
    "InstructionSets",
    "PackDocument",
    "PackedFile",
    "PackedGraph",
    "VerifyDocument",
    "VerifyEntry",
]


class BundleSignature(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a bundle is signed, and by whom.

    Attributes:
        state: "not-checked" where a signature is there and no key was given.
        key: File of the public key that was required; None where none was.
        reason: The state in words.
    """

    state: Literal["unsigned", "not-checked", "valid", "invalid"]
    key: str | None = None
    reason: str


class InstructionSets(msgspec.Struct, frozen=True, kw_only=True):
    """The CPU extensions that engines choose kernels by: the certificate's and this machine's.

    Attributes:
        same: Whether the two are equal.
        reason: The difference in words and what it means; empty where they are the same.
    """

    certified: tuple[str, ...]
    here: tuple[str, ...]
    same: bool
    reason: str = ""


class VerifyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry repeated on arrival.

    Attributes:
        checks: `opens` (the engine took the graph and answered), and those of the eight that need
            no data: finite, parity, placement, repeatable; `shapes` as it was certified; `opens`
            alone where it is a FAIL.
    """

    target: str
    variant: str
    compute: str
    verdict: Verdict
    checks: dict[str, Check]


class VerifyDocument(Document, frozen=True, kw_only=True):
    """A bundle checked on arrival.

    Attributes:
        files: Number of files whose sha256 was checked.
        damaged: What is missing, changed or extra, each a sentence.
        differences: Keys of the environment that differ from the certificate's.
        skipped: Entries that could not be repeated here, each a sentence.
        signature: Whether the bundle is signed; a required signature that is not valid is a FAIL.
        instruction_set: The certificate's and this machine's; None where the certificate has none.
            Another one is no FAIL: the golden outputs decide.
        notes: What a reader should know, each a sentence.
    """

    schema: Literal["edgekit.verify/1"] = "edgekit.verify/1"
    bundle: str
    verdict: Verdict
    files: int
    damaged: tuple[str, ...]
    entries: tuple[VerifyEntry, ...]
    differences: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    signature: BundleSignature | None = None
    instruction_set: InstructionSets | None = None
    notes: tuple[str, ...] = ()


class PackedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a packed folder."""

    sha256: str
    size_bytes: int


class PackedGraph(msgspec.Struct, frozen=True, kw_only=True):
    """The files and tensors of one graph in a packed folder.

    Attributes:
        graph: The ONNX graph, which any version and any CPU takes.
        engine: The compiled engine; empty in a server's repository, where the server compiles.
        golden: Inputs and the reference's outputs.
        inputs: Names in the graph's order.
        outputs: Likewise.
        state: Output name to the input it becomes on the next call.
        rows: Outputs whose rows are compared as a set, see GraphCard.
    """

    graph: str
    engine: str
    golden: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    state: dict[str, str] = {}
    rows: tuple[str, ...] = ()


class PackDocument(Document, frozen=True, kw_only=True):
    """One entry of a bundle in a folder of its own; also the folder's pack.json.

    Attributes:
        folder: Where it was written to.
        layout: "folder", "triton" or "openvino-model-server".
        failed: Checks of the certificate that are FAIL.
        version: Of the engine's library, as certified; the engine is for it alone.
        instruction_set: The CPU extensions that the engine was compiled for.
        extensions: All that engines choose their kernels by, in that order.
        threads: As certified.
        python: The oldest Python that the requirements take.
        packed_with: The Python that wrote it.
        requirements: Module to the pinned line of requirements.txt.
        graphs: By role.
        sqnr_db: Reached on the golden inputs when it was certified, the worst output, dB.
        sqnr_limit_db: What is asked of it where it runs.
        files: Every other file, by relative path.
        size_bytes: Of all of them.
    """

    schema: Literal["edgekit.pack/1"] = "edgekit.pack/1"
    bundle: str
    folder: str
    layout: str
    target: str
    variant: str
    compute: str
    verdict: Verdict
    failed: tuple[str, ...] = ()
    version: str
    instruction_set: str
    extensions: tuple[str, ...]
    threads: int
    python: str
    packed_with: str
    requirements: dict[str, str]
    graphs: dict[str, PackedGraph]
    sqnr_db: float | None
    sqnr_limit_db: float
    files: dict[str, PackedFile]
    size_bytes: int
    notes: tuple[str, ...] = ()

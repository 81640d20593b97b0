"""What every packed folder holds, whatever its layout: graphs, papers, the list of its files."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import msgspec

from edgekit.benchmarks.certificate import parity_limit
from edgekit.core.card import ModelCard, card_to_dict
from edgekit.core.documents import PackDocument, PackedFile, PackedGraph
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.jobs.packing.answers import DECODER
from edgekit.jobs.packing.chosen import Chosen
from edgekit.jobs.packing.requirements import Requirement, oldest_python
from edgekit.runtimes.cpu import DECISIVE_EXTENSIONS
from edgekit.tasks.cards import dump_card
from edgekit.tasks.decoders import is_user_decoder

__all__ = ["copy_graph", "copy_papers", "describe", "golden_name"]

# Rounding differs a little between machines: what was certified may be missed by so many dB.
_MARGIN_DB = 1.0


def golden_name(role: str) -> str:
    """The file of a graph's golden inputs and outputs."""
    return "golden.npz" if role == "main" else f"{role}.golden.npz"


def copy_graph(folder: Path, chosen: Chosen, role: str, name: str = "model.onnx") -> None:
    """Copy a graph, and beside it the files that hold its weights if it has any."""
    folder.mkdir(parents=True, exist_ok=True)
    source = chosen.bundle / chosen.variant.graphs[role]
    shutil.copyfile(source, folder / name)
    for beside in source.parent.rglob("*"):
        if beside.is_file() and beside.suffix != ".onnx":
            path = folder / beside.relative_to(source.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(beside, path)


def copy_papers(folder: Path, chosen: Chosen) -> None:
    """Write card, certificate and golden data.

    Raises:
        BadInput: The bundle holds no golden data of a graph.
    """
    for role in chosen.variant.graphs:
        if role not in chosen.golden:
            raise BadInput(
                f"{chosen.bundle} holds no golden data of {role!r}.", hint="Deploy the model again."
            )
        shutil.copyfile(chosen.bundle / chosen.golden[role], folder / golden_name(role))
    shutil.copyfile(chosen.bundle / chosen.certificate, folder / "certificate.json")
    card = _own_card(chosen.card)
    plain = msgspec.json.format(msgspec.json.encode(card_to_dict(card)))
    (folder / "card.json").write_bytes(plain + b"\n")
    (folder / "card.yaml").write_text(dump_card(card), encoding="utf-8")


def describe(
    folder: Path,
    output: Path,
    chosen: Chosen,
    layout: str,
    *,
    graphs: dict[str, PackedGraph],
    notes: list[str],
    needed: list[Requirement],
) -> PackDocument:
    """Describe a folder that is complete but for pack.json.

    Args:
        folder: Where it is being written.
        output: Where it will lie.
        chosen: The entry.
        layout: Of LAYOUTS.
        graphs: By role.
        notes: What the user should know; the verdict's own is added.
        needed: What the script imports; empty for a server.
    """
    files = {
        path.relative_to(folder).as_posix(): PackedFile(
            sha256=sha256_file(path), size_bytes=path.stat().st_size
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return PackDocument(
        bundle=str(chosen.bundle),
        folder=str(output),
        layout=layout,
        target=chosen.entry.target,
        variant=chosen.entry.variant,
        compute=chosen.entry.compute,
        verdict=chosen.entry.verdict,
        failed=chosen.failed,
        version=chosen.version,
        instruction_set=chosen.instruction_set,
        extensions=DECISIVE_EXTENSIONS,
        threads=chosen.threads,
        python=oldest_python(needed),
        packed_with=platform.python_version(),
        requirements={one.module: one.text for one in needed},
        graphs=graphs,
        sqnr_db=chosen.sqnr_db,
        sqnr_limit_db=_limit(chosen),
        files=files,
        size_bytes=sum(file.size_bytes for file in files.values()),
        notes=(*_verdict(chosen), *notes),
    )


def _limit(chosen: Chosen) -> float:
    """The SQNR asked for on the golden inputs, dB: that of the certificate.

    Generated inputs may be harder than pictures: then what was certified is asked for again.
    """
    parity = chosen.entry.checks.get("parity")
    limit = parity_limit(
        chosen.variant.precision, chosen.entry.compute, parity.limit if parity else None
    )
    return limit if chosen.sqnr_db is None else min(limit, chosen.sqnr_db - _MARGIN_DB)


def _verdict(chosen: Chosen) -> list[str]:
    if chosen.entry.verdict == "FAIL":
        return [f"{chosen} FAILED its certificate: {', '.join(chosen.failed)}."]
    if chosen.entry.verdict == "UNVERIFIED":
        return [f"{chosen} is UNVERIFIED: nothing proves its accuracy."]
    return []


def _own_card(card: ModelCard) -> ModelCard:
    """The card with a user's decoder under the name that it has in the folder."""
    head = card.postprocess
    if head is None or not is_user_decoder(head.decode):
        return card
    decode = f"{DECODER}:{head.decode.rpartition(':')[2]}"
    return msgspec.structs.replace(card, postprocess=msgspec.structs.replace(head, decode=decode))

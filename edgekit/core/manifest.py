"""What a bundle says about itself: manifest.json, its form and what is refused in it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.core.errors import BadInput
from edgekit.core.fields import Count
from edgekit.core.json_text import as_kind, parse_json
from edgekit.core.runtime import Compiled
from edgekit.core.texts import shown
from edgekit.core.variant import Variant

__all__ = [
    "Engine",
    "Manifest",
    "ManifestFile",
    "encode_manifest",
    "entry_name",
    "is_whole",
    "parse_manifest",
]

_SCHEMA = "edgekit.bundle/1"
_BLANK = "0" * 64
_FRESH = "Take a fresh copy of the bundle."
_DISTRUST = "edgekit writes no such name: do not trust this bundle."


class ManifestFile(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    sha256: str
    size_bytes: Count


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """One compiled graph in the bundle.

    Attributes:
        folder: Relative to the bundle.
        graph: The ONNX file it was compiled from, relative to the bundle.
    """

    target: str
    variant: str
    compute: str
    role: str
    folder: str
    graph: str
    compiled: Compiled

    @property
    def name(self) -> str:
        """The name of its entry's files in the bundle."""
        return entry_name(self.target, self.variant, self.compute)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's table of contents.

    Attributes:
        seal: sha256 of this very file, these 64 digits taken as zeros; the same in every schema.
        created: UTC, ISO 8601.
        edgekit: Version that wrote it.
        source: What the model came from, with the sha256 of its file.
        reference: What the reference was: "torch 2.13.0 eager" or "onnxruntime … unoptimized".
        card: The card as plain data.
        variants: With paths relative to the bundle.
        engines: Compiled graphs.
        golden: Role to the file of golden inputs and reference outputs.
        golden_sqnr_db: Name of an entry's files to the SQNR reached on the golden inputs when the
            certificate was made, the worst output, dB.
        environment: Where the certificates were made.
        files: Every other file of the bundle, by relative path; the signature apart.
        stages: Stage of the deployment to its key: equal keys, equal results.
    """

    schema: Literal["edgekit.bundle/1"] = "edgekit.bundle/1"
    seal: str = ""
    created: str
    edgekit: str
    source: dict[str, Any]
    reference: str
    card: dict[str, Any]
    variants: tuple[Variant, ...]
    engines: tuple[Engine, ...]
    golden: dict[str, str]
    golden_sqnr_db: dict[str, float]
    environment: dict[str, Any]
    files: dict[str, ManifestFile] = {}
    stages: dict[str, str] = {}

    def variant(self, identifier: str) -> Variant | None:
        """Return the variant of that id, or None."""
        return next((variant for variant in self.variants if variant.id == identifier), None)

    def paths(self) -> list[str]:
        """Every path that it names, relative to the bundle; some more than once."""
        graphs = [path for variant in self.variants for path in variant.graphs.values()]
        engines = [
            path
            for engine in self.engines
            for path in (
                engine.folder,
                engine.graph,
                f"{engine.folder}/{engine.compiled.engine}",
                f"certificates/{engine.name}.json",
            )
        ]
        return [*graphs, *engines, *self.golden.values(), *self._decoder(), *self.files]

    def _decoder(self) -> list[str]:
        """The file of a user's decoder, "file.py:function" in the card."""
        head = self.card.get("postprocess")
        decode = head.get("decode") if isinstance(head, dict) else None
        return [decode.rpartition(":")[0]] if isinstance(decode, str) and ":" in decode else []


def entry_name(target: str, variant: str, compute: str) -> str:
    """The name of an entry's files in a bundle."""
    return f"{target.replace(':', '-')}_{variant}_{compute}"


def encode_manifest(manifest: Manifest, where: Path) -> bytes:
    """Return the bytes of manifest.json, its own checksum set.

    Raises:
        BadInput: A name that parse_manifest would refuse.
    """
    _refuse_names(manifest, where)
    blank = msgspec.structs.replace(manifest, seal=_BLANK)
    content = msgspec.json.format(msgspec.json.encode(blank)) + b"\n"
    # The seal stands near the top, before anything of the user's.
    return content.replace(_BLANK.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def is_whole(content: bytes, seal: str) -> bool:
    """Whether a manifest's bytes are those that were sealed.

    Args:
        content: Of the file.
        seal: As the manifest says.
    """
    digits = seal.encode()
    if not re.fullmatch(r"[0-9a-f]{64}", seal) or content.count(digits) != 1:
        return False
    return hashlib.sha256(content.replace(digits, _BLANK.encode())).hexdigest() == seal


def parse_manifest(content: bytes, where: Path) -> Manifest:
    """Read the bytes of manifest.json; they may come from anyone.

    Args:
        content: Of the file.
        where: Its path, for error messages.

    Raises:
        BadInput: Damaged or cut short, written by a newer edgekit, a name twice, or a path that
            could lead out of the bundle.
    """
    found = parse_json(content, where, hint=_FRESH)
    if not isinstance(found, dict):
        raise BadInput(f"{where} is damaged: it holds no JSON object.", hint=_FRESH)
    if found.get("schema") != _SCHEMA:
        raise _other_schema(found, content, where)
    manifest = as_kind(found, where, Manifest, hint=_FRESH)
    _refuse_names(manifest, where)
    for engine in manifest.engines:
        variant = manifest.variant(engine.variant)
        if variant is None or variant.graphs.get(engine.role) != engine.graph:
            raise BadInput(
                f"{where} is damaged: the engine in {engine.folder} belongs to no variant.",
                hint=_FRESH,
            )
    return manifest


def _other_schema(found: dict[str, Any], content: bytes, where: Path) -> BadInput:
    schema, seal = found.get("schema"), found.get("seal")
    if isinstance(seal, str) and not is_whole(content, seal):
        return BadInput(f"{where} was changed after it was sealed.", hint=_FRESH)
    number = re.fullmatch(r"edgekit\.bundle/(\d{1,9})", str(schema))
    if number is None or int(number.group(1)) < 2:
        return BadInput(
            f"{where} is no manifest of a bundle: its schema is {shown(schema)}.",
            hint="A bundle is made by: edgekit deploy",
        )
    writer = str(found.get("edgekit", ""))
    known = re.fullmatch(r"\d{1,9}(\.\w{1,9}){1,4}", writer) is not None
    return BadInput(
        f"{where} was written by a newer edgekit{f' ({writer})' if known else ''}: its schema is "
        f"{schema}, and this version reads up to {_SCHEMA}.",
        hint=f"Install it with: pip install 'edgekit>={writer}'"
        if known
        else "Install it with: pip install --upgrade edgekit",
    )


def _refuse_names(manifest: Manifest, where: Path) -> None:
    """Nothing that a manifest says may reach outside its folder, or mean two files."""
    names = [variant.id for variant in manifest.variants]
    names += [role for variant in manifest.variants for role in variant.graphs]
    names += [name for engine in manifest.engines for name in (engine.name, engine.role)]
    names += [*manifest.golden, *(engine.compiled.engine for engine in manifest.engines)]
    faults = [(name, _path_fault(name) or _name_fault(name)) for name in names]
    faults += [(name, _path_fault(name)) for name in manifest.paths()]
    for name, fault in faults:
        if fault:
            raise BadInput(f"{where} names {shown(name)}, which {fault}.", hint=_DISTRUST)
    # Disks of other systems take both spellings for one file.
    seen: dict[str, str] = {}
    for name in manifest.files:
        other = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise BadInput(
                f"{where} names {shown(other)} and {shown(name)}, one file on some disks.",
                hint="Rename one of them before deploying.",
            )


def _path_fault(name: str) -> str:
    parts = name.split("/")
    if not name:
        return "is empty"
    if "\\" in name or not name.isprintable():
        return "holds a backslash or a character that does not print"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts:
        return "lies outside the bundle"
    return "is not a plain path" if "" in parts or "." in parts else ""


def _name_fault(name: str) -> str:
    return "is not a plain name" if "/" in name else ""

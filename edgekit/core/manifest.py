"""What a bundle says about itself: manifest.json."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgekit.core.runtime import Compiled
from edgekit.core.variant import Variant

__all__ = ["Engine", "Manifest", "ManifestFile"]


class ManifestFile(msgspec.Struct, frozen=True):
    """One file of a bundle."""

    sha256: str
    size_bytes: int


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


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's table of contents.

    Attributes:
        created: UTC, ISO 8601.
        edgekit: Version that wrote it.
        source: What the model came from, with the sha256 of its file.
        reference: What the reference was: "torch 2.13.0 eager" or "onnxruntime … unoptimized".
        card: The card as plain data.
        variants: With paths relative to the bundle.
        engines: Compiled graphs.
        golden: Role to the file of golden inputs and reference outputs.
        golden_sqnr_db: "TARGET VARIANT COMPUTE" to the SQNR reached on the golden inputs when the
            certificate was made, the worst output, dB.
        environment: Where the certificates were made.
        files: Every other file of the bundle, by relative path.
    """

    schema: Literal["edgekit.bundle/1"] = "edgekit.bundle/1"
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

    def variant(self, identifier: str) -> Variant | None:
        """Return the variant of that id, or None."""
        return next((variant for variant in self.variants if variant.id == identifier), None)

"""`edgekit inspect`: card and graph facts of a model or a bundle."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgekit.core.card import card_to_dict
from edgekit.core.documents import InspectDocument
from edgekit.export.facts import graph_facts
from edgekit.jobs.bundle import is_bundle, read_manifest
from edgekit.jobs.models import resolve_model

__all__ = ["run"]


def run(model: str) -> InspectDocument:
    """See edgekit.api.inspect."""
    resolved = resolve_model(model)
    bundle = None
    if is_bundle(Path(model)):
        manifest = read_manifest(Path(model))
        whole = msgspec.to_builtins(manifest)
        bundle = {
            "created": whole["created"],
            "edgekit": whole["edgekit"],
            "source": whole["source"],
            "reference": whole["reference"],
            "variants": [variant.id for variant in manifest.variants],
            "engines": sorted(
                {
                    f"{engine.target} {engine.variant} {engine.compute}"
                    for engine in manifest.engines
                }
            ),
            "files": len(manifest.files),
            "size_bytes": sum(file.size_bytes for file in manifest.files.values()),
        }
    return InspectDocument(
        model=model,
        card=card_to_dict(resolved.card),
        graphs=tuple(
            graph_facts(Path(path), role) for role, path in resolved.variant.graphs.items()
        ),
        bundle=bundle,
    )

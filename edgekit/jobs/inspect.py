"""`edgekit inspect`: card and graph facts of a model or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import card_to_dict
from edgekit.core.documents import InspectDocument
from edgekit.core.manifest import Manifest
from edgekit.export.facts import graph_facts
from edgekit.jobs.bundle import is_bundle, read_manifest
from edgekit.jobs.models import resolve_model

__all__ = ["run"]


def run(model: str) -> InspectDocument:
    """See edgekit.api.inspect."""
    path = Path(model)
    if is_bundle(path):
        manifest = read_manifest(path)
        graphs = [
            (role, path / file)
            for variant in manifest.variants
            for role, file in variant.graphs.items()
        ]
        return InspectDocument(
            model=model,
            card=manifest.card,
            graphs=tuple(
                msgspec.structs.replace(
                    graph_facts(file, role), file=file.relative_to(path).as_posix()
                )
                for role, file in graphs
            ),
            bundle=_summary(manifest),
        )
    resolved = resolve_model(model)
    return InspectDocument(
        model=model,
        card=card_to_dict(resolved.card),
        graphs=tuple(
            graph_facts(Path(file), role) for role, file in resolved.variant.graphs.items()
        ),
    )


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "created": manifest.created,
        "edgekit": manifest.edgekit,
        "source": manifest.source,
        "reference": manifest.reference,
        "variants": [variant.id for variant in manifest.variants],
        "engines": sorted(
            {f"{engine.target} {engine.variant} {engine.compute}" for engine in manifest.engines}
        ),
        "files": len(manifest.files),
        "size_bytes": sum(file.size_bytes for file in manifest.files.values()),
    }

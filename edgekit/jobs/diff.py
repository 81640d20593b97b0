"""`edgekit inspect --diff`: two graphs, two variants or two bundles side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import card_to_dict
from edgekit.core.documents import DiffDocument, EntryDiff
from edgekit.core.errors import BadInput
from edgekit.core.json_text import read_json
from edgekit.core.manifest import Manifest
from edgekit.core.yaml_text import read_yaml
from edgekit.export.diff import changes, flattened, graph_diff
from edgekit.jobs.inspect import graph_files
from edgekit.jobs.model.bundle import is_bundle, read_manifest, verify_command
from edgekit.jobs.model.resolve import choose_card, resolve_model

__all__ = ["run"]

_TENSORS = ("inputs", "outputs", "state", "graphs")
# Figures of an entry in deploy.json that stand side by side, by the path of keys to them.
_FIGURES = {
    "verdict": ("verdict",),
    "executed_precision": ("executed_precision",),
    "metric": ("metric", "value"),
    "drop": ("metric", "drop"),
    "p50_ms": ("latency", "p50_ms"),
    "p90_ms": ("latency", "p90_ms"),
    "throughput_per_s": ("throughput_per_s",),
    "size_bytes": ("size_bytes",),
    "load_ms": ("load_ms",),
    "first_ms": ("first_ms",),
    "rss_peak_bytes": ("rss_peak_bytes",),
    "energy_j": ("energy_j",),
}


@dataclass(frozen=True)
class _Side:
    """One of the two.

    Attributes:
        graphs: (variant, role) to file; the variant is empty where one was named.
        bundle: Its folder where a whole bundle was named.
    """

    text: str
    card: dict[str, Any]
    graphs: dict[tuple[str, str], Path]
    bundle: Path | None = None
    manifest: Manifest | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    entries: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)


def run(before: str, after: str, *, top: int) -> DiffDocument:
    """See edgekit.api.inspect_diff."""
    sides = _side(before), _side(after)
    if (sides[0].bundle is None) != (sides[1].bundle is None):
        whole = sides[0] if sides[0].bundle is not None else sides[1]
        raise BadInput(
            f"{whole.text} is a whole bundle and the other is not.",
            hint=f"Name a variant of it: {whole.text}@fp32.",
        )
    old, new = sides
    graphs = tuple(
        graph_diff(old.graphs[key], new.graphs[key], key[1])
        for key in old.graphs
        if key in new.graphs
    )
    parts: dict[str, Any] = {
        "card": changes(_card(old), _card(new)),
        "bundle": changes(_summary(old), _summary(new)),
        "variants": changes(_names(old, graphs_of=new), _names(new, graphs_of=old)),
        "engines": changes(_engines(old), _engines(new)),
        "recipe": changes(old.recipe, new.recipe),
        "entries": _entries(old, new),
    }
    return DiffDocument(
        before=before,
        after=after,
        equal=all(graph.equal for graph in graphs) and not any(parts.values()),
        graphs=graphs,
        top=top,
        **parts,
    )


def _side(text: str) -> _Side:
    path = Path(text)
    if is_bundle(path):
        manifest = read_manifest(path)
        return _Side(
            text=text,
            card=manifest.card,
            graphs={
                (variant.id, role): path / name
                for variant in manifest.variants
                for role, name in variant.graphs.items()
            },
            bundle=path,
            manifest=manifest,
            recipe=_recipe(path / "recipe.yaml"),
            entries=_deployed(path / "deploy.json"),
        )
    files = graph_files(path)
    if files:
        card, _ = choose_card(path, next(iter(files.values())), None)
    else:
        # BUNDLE@VARIANT, or the sentence that says why not.
        resolved = resolve_model(text, sealed=False)
        files, card = resolved.variant.paths, resolved.card
    return _Side(
        text=text,
        card=card_to_dict(card),
        graphs={("", role): file for role, file in files.items()},
    )


def _card(side: _Side) -> dict[str, Any]:
    """The card without its tensors, which every graph is compared by."""
    kept = {key: value for key, value in side.card.items() if key not in _TENSORS}
    return flattened(msgspec.to_builtins(kept))


def _names(side: _Side, *, graphs_of: _Side) -> dict[str, str]:
    """Graphs that the other side does not have."""
    return {
        "/".join(filter(None, key)): path.name
        for key, path in side.graphs.items()
        if key not in graphs_of.graphs
    }


def _summary(side: _Side) -> dict[str, Any]:
    manifest = side.manifest
    if manifest is None:
        return {}
    return {
        "schema": manifest.schema,
        "created": manifest.created,
        "edgekit": manifest.edgekit,
        "reference": manifest.reference,
        **flattened(manifest.source, "source"),
        **flattened(manifest.environment.get("identity", {}), "environment"),
        "files": len(manifest.files),
        "size_bytes": sum(file.size_bytes for file in manifest.files.values()),
    }


def _engines(side: _Side) -> dict[str, Any]:
    engines = side.manifest.engines if side.manifest is not None else ()
    return {
        f"{engine.target} {engine.variant} {engine.compute} {engine.role}": ", ".join(
            (
                engine.compiled.runtime_version,
                f"{engine.compiled.options.threads or 'all'} threads",
                engine.compiled.device,
            )
        )
        for engine in engines
    }


def _entries(old: _Side, new: _Side) -> tuple[EntryDiff, ...]:
    found = []
    for key in dict.fromkeys([*old.entries, *new.entries]):
        figures = changes(_figures(old.entries.get(key)), _figures(new.entries.get(key)))
        if figures:
            target, variant, compute = key
            found.append(
                EntryDiff(target=target, variant=variant, compute=compute, figures=figures)
            )
    return tuple(found)


def _figures(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    if entry is None:
        return {}
    figures = {name: _at(entry, keys) for name, keys in _FIGURES.items()}
    checks = entry.get("checks") or {}
    return {**figures, **{f"check.{name}": _at(checks, (name, "verdict")) for name in checks}}


def _at(content: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _recipe(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = read_yaml(path, hint=_see(path))
    return flattened(content) if isinstance(content, dict) else {}


def _deployed(path: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Entries of deploy.json as plain data, so that another version's can be compared too."""
    if not path.exists():
        return {}
    content = read_json(path, hint=_see(path))
    try:
        return {
            (entry["target"], entry["variant"], entry["compute"]): entry
            for entry in content["entries"]
        }
    except (LookupError, TypeError) as error:
        raise BadInput(f"{path} is damaged or of another version.", hint=_see(path)) from error


def _see(path: Path) -> str:
    return f"See: {verify_command(path.parent)}"

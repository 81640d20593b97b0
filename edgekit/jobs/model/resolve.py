"""The MODEL argument: an ONNX file, a folder of graphs, a bundle, BUNDLE@VARIANT, or engines."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.core.no_model import no_model, refuse_no_model
from edgekit.core.runtime import Probe
from edgekit.core.unshared import unshared_file
from edgekit.core.variant import Variant
from edgekit.core.yaml_text import parse_yaml
from edgekit.export.facts import graph_facts
from edgekit.export.metadata import read_card, with_card
from edgekit.export.onnx_file import external_files, read_onnx
from edgekit.jobs.model.bundle import (
    is_bundle,
    read_manifest,
    refuse_changed,
    unshared_bundle,
    verify_command,
)
from edgekit.jobs.model.engine_folder import ReadyEngine, is_carried, read_carried
from edgekit.jobs.process.plain import run_once
from edgekit.tasks import cards
from edgekit.tasks.decoders import decoder_file
from edgekit.tasks.preprocess import with_picture_size

__all__ = [
    "Model",
    "choose_card",
    "refuse_no_graph",
    "resolve_model",
    "split_variant",
    "with_options",
]


@dataclass(frozen=True)
class Model:
    """A model that can be compiled: one variant with its card.

    Attributes:
        text: What the user typed.
        name: Short name for files.
        variant: With usable paths.
        card: With every graph's tensors filled in.
        folder: Where a user's decoder named by the card is looked for.
        bundle: The bundle it comes from, or the copy of it that is used; or None.
        engines: By role, where MODEL is a folder of engines: then the variant has no graphs.
    """

    text: str
    name: str
    variant: Variant
    card: ModelCard
    folder: Path
    bundle: Path | None = None
    engines: dict[str, ReadyEngine] = field(default_factory=dict)


def resolve_model(
    text: str,
    *,
    card: Path | None = None,
    options: Mapping[str, str] | None = None,
    probe: Probe | None = None,
    sealed: bool = True,
    engines: bool = False,
) -> Model:
    """Find the model that the user named.

    Args:
        text: MODEL as typed.
        card: Card file that overrides every other.
        options: Keys of the card to values, put over it.
        probe: The target's, so that BUNDLE@int8 picks its dialect.
        sealed: Refuse graphs and a decoder of a bundle that are not as they were sealed. False is
            for who looks for what is wrong with them.
        engines: Whether a folder that `compile -o` wrote will do, which holds no graphs.

    Raises:
        BadInput: No such file, bundle or variant, not a valid graph, or one that was changed.
    """
    path, wanted = split_variant(text)
    if is_bundle(path):
        model = _from_bundle(text, unshared_bundle(path), wanted, probe, sealed=sealed)
        return dataclasses.replace(model, card=with_options(model.card, options))
    refuse_no_graph(text)
    if is_carried(path):
        return _from_engines(text, path, card, options, wanted=engines)
    graphs = {
        role: unshared_file(file, external_files(file)) for role, file in _graph_files(path).items()
    }
    facts = {role: graph_facts(file, role) for role, file in graphs.items()}
    precision = next(iter(facts.values())).precision
    found, folder = choose_card(path, next(iter(graphs.values())), card, options)
    return Model(
        text=text,
        name=path.stem if path.is_file() else path.name,
        variant=Variant(
            id=precision,
            precision=precision,
            graphs={role: str(file) for role, file in graphs.items()},
        ),
        card=with_picture_size(
            found.with_graphs(
                {
                    role: with_card(read_onnx(file), found.graph(role), str(file))[0]
                    for role, file in graphs.items()
                }
            )
        ),
        folder=folder,
    )


def refuse_no_graph(text: str) -> None:
    """Refuse what is certainly no MODEL; asks neither a library nor an engine.

    Args:
        text: MODEL as typed.

    Raises:
        BadInput: Says what it is, and what makes a MODEL of it.
    """
    path, _ = split_variant(text)
    refuse_no_model(str(path), "graph")
    if not path.exists():
        raise no_model(text, "graph")


def split_variant(text: str) -> tuple[Path, str]:
    """Split BUNDLE@VARIANT into the bundle's folder and the variant's id.

    Args:
        text: MODEL as typed. What exists under the whole name, and what is no bundle before the
            "@", is a path without a variant.
    """
    place, at, variant = text.rpartition("@")
    if at and not Path(text).exists() and is_bundle(Path(place)):
        return Path(place), variant
    return Path(text), ""


def choose_card(
    model: Path | None,
    graph: Path | None,
    card: Path | None,
    options: Mapping[str, str] | None = None,
) -> tuple[ModelCard, Path]:
    """Take the card from the option, the sidecar, or the graph's metadata; else a raw one.

    Args:
        model: The model's file or folder, for the sidecar; None for a built-in.
        graph: An ONNX file that may hold a card; None where there is none.
        card: The option --card.
        options: Keys of the card to values as YAML would give them (--set), put over it.

    Returns:
        The card, and the folder where a user's decoder that it names is looked for.
    """
    found, folder = _find_card(model, graph, card, (options or {}).get("decode"))
    return with_options(found, options), folder


def with_options(card: ModelCard, options: Mapping[str, str] | None) -> ModelCard:
    """Put --set NAME=VALUE over a card.

    Raises:
        BadInput: No such key, a value that does not fit, or one that is no YAML.
    """
    values = {
        name: parse_yaml(text, f"--set {name}", hint="Quote what is a text.")
        for name, text in (options or {}).items()
    }
    return cards.override(card, **values) if values else card


def _find_card(
    model: Path | None, graph: Path | None, card: Path | None, decode: str | None
) -> tuple[ModelCard, Path]:
    if card is not None:
        return cards.read_card(card), card.resolve().parent
    if model is not None:
        sidecar = cards.find_card(model)
        if sidecar is not None:
            return cards.read_card(sidecar), sidecar.resolve().parent
    inside = read_card(graph, run=run_once, decode=decode) if graph is not None else None
    folder = (model or Path()).resolve()
    return inside or ModelCard(), folder.parent if folder.is_file() else folder


def _from_bundle(
    text: str, bundle: Path, wanted: str, probe: Probe | None, *, sealed: bool
) -> Model:
    manifest = read_manifest(bundle)
    variants = {variant.id: variant for variant in manifest.variants}
    identifier = wanted or "fp32"
    if identifier == "int8" and identifier not in variants and probe is not None:
        identifier = f"int8-{probe.dialect}"
    variant = variants.get(identifier)
    if variant is None:
        raise BadInput(f"{bundle} holds no variant {identifier!r}.", closest(identifier, variants))
    graphs = {role: str(bundle / path) for role, path in variant.graphs.items()}
    missing = [path for path in graphs.values() if not Path(path).exists()]
    if missing:
        raise BadInput(
            f"{missing[0]} is missing from the bundle.",
            hint=f"See: {verify_command(bundle)}",
        )
    card = card_from_dict(manifest.card, str(bundle / "manifest.json"))
    if sealed:
        head = card.postprocess
        decoder = decoder_file(head.decode, Path()) if head is not None else None
        code = [] if decoder is None else [decoder.as_posix()]
        refuse_changed(bundle, manifest, [*variant.graphs.values(), *code])
        data = [file for path in graphs.values() for file in external_files(Path(path))]
        refuse_changed(bundle, manifest, [one.relative_to(bundle).as_posix() for one in data])
    return Model(
        text=text,
        name=f"{bundle.resolve().name}-{identifier}",
        variant=msgspec.structs.replace(variant, graphs=graphs),
        card=card,
        folder=bundle,
        bundle=bundle,
    )


def _from_engines(
    text: str,
    path: Path,
    card: Path | None,
    options: Mapping[str, str] | None,
    *,
    wanted: bool,
) -> Model:
    said, own, engines = read_carried(path)
    if not wanted:
        raise BadInput(
            f"{text} holds compiled engines, and this takes a graph.",
            hint=f"Give the model that they were compiled from: {said.model}.",
        )
    chosen, folder = (own, path) if card is None else (cards.read_card(card), card.parent)
    return Model(
        text=text,
        name=path.resolve().name,
        variant=Variant(id=said.variant, precision=said.precision, graphs={}),
        card=with_options(chosen.with_graphs({role: own.graph(role) for role in engines}), options),
        folder=folder.resolve(),
        engines=engines,
    )


def _graph_files(path: Path) -> dict[str, Path]:
    """Role to file: one file is "main", in a folder every file's stem is its role."""
    if path.is_file():
        return {"main": path}
    files = {file.stem: file for file in sorted(path.glob("*.onnx"))}
    if not files:
        raise BadInput(
            f"{path} is neither a bundle nor a folder with .onnx files.",
            hint=f"Export what it holds: edgekit export {shlex.quote(str(path))} -o DIR",
        )
    return files

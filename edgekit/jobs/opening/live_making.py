"""A model made ready for a stream: its graph at the right shape, on the engine that is fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edgekit.core.card import ModelCard, card_to_dict
from edgekit.core.errors import BadInput, EdgekitError
from edgekit.core.files import sha256_file
from edgekit.core.json_text import read_json
from edgekit.core.progress import Progress
from edgekit.core.source import SCHEMES, Source
from edgekit.core.variant import Variant
from edgekit.export.onnx_file import external_files
from edgekit.jobs.model.bundle import is_bundle
from edgekit.jobs.model.resolve import Model, resolve_model, split_variant, with_options
from edgekit.jobs.opening.choose import Choice, choose, engine_folders
from edgekit.jobs.opening.engines import own_target
from edgekit.jobs.opening.fastest import fastest
from edgekit.jobs.opening.live_request import LiveRecord, LiveRequest, own_card
from edgekit.jobs.opening.places import every_place
from edgekit.jobs.steps.cache import CacheUnwritable, fetch
from edgekit.jobs.steps.engine import CachedEngine, compile_graphs
from edgekit.jobs.steps.entries import plan_entries
from edgekit.jobs.steps.export import source_card
from edgekit.jobs.steps.graphs import ExportedModel, exported
from edgekit.jobs.steps.keys import digest, graphs_digest, tools
from edgekit.jobs.steps.request import SourceRequest
from edgekit.jobs.steps.reshape import StreamFit, fit_graph, stream_fit
from edgekit.jobs.steps.step import Stages
from edgekit.tasks.decoders import decoder_file
from edgekit.tasks.stream_shape import DEFAULT_STRIDE, card_at, shape_text, stream_shape

__all__ = ["prepared", "refuse"]

_CARD = "card.json"


@dataclass(frozen=True)
class _Ready:
    """A model at the input that it will run at.

    Attributes:
        model: Its one graph.
        own_shape: Whether the input is the stream's own shape.
        warnings: Sentences.
        files: Code that an export ran, to its sha256.
    """

    model: Model
    own_shape: bool
    warnings: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def prepared(asked: LiveRequest, progress: Progress) -> LiveRecord:
    """Work out what runs; see edgekit.jobs.opening.live.live_model.

    Raises:
        EdgekitError: See live_model.
    """
    if _is_certified(asked.model):
        return _certified(asked, progress)
    _refuse_place(asked)
    ready = _model(asked, progress)
    model = ready.model
    asked.refuse(model.card, model.folder)
    found = fastest(
        model,
        target=asked.target,
        compute=asked.compute,
        threads=asked.threads,
        every_frame=asked.every_frame,
        trust_engine=asked.trust_engine,
        progress=progress,
    )
    return _record(
        model,
        str(found.target),
        found.compute,
        found.engine,
        own_shape=ready.own_shape,
        warnings=ready.warnings,
        chosen=found.reason,
        # The model's own weights beside its file, and code that an export ran.
        files={**ready.files, **_beside(asked.model)},
    )


def refuse(asked: LiveRequest) -> None:
    """Refuse what nothing has to be made for; see edgekit.jobs.opening.live.refuse_unfit."""
    if _is_certified(asked.model):
        _chosen(asked)
        return
    _refuse_place(asked)
    if _is_graph(asked.model):
        _resolved(asked)
        return
    source = Source.parse(asked.model, asked.arch)
    # That one only PyTorch can open, which is work.
    if source.kind != "ultralytics":
        _source_card(source, asked)


def _is_certified(text: str) -> bool:
    return is_bundle(split_variant(text)[0]) or own_target(text) is not None


def _is_graph(text: str) -> bool:
    return Path(text).is_dir() or Path(text).suffix.lower() == ".onnx"


def _refuse_place(asked: LiveRequest) -> None:
    if asked.target is not None:
        plan_entries(
            every_place(asked.target), ["fp32"], [] if asked.compute is None else [asked.compute]
        )


def _chosen(asked: LiveRequest) -> Choice:
    if asked.card is not None:
        raise own_card(asked.model)
    choice = choose(asked.model, target=asked.target, compute=asked.compute, threads=asked.threads)
    card = with_options(choice.model.card, asked.card_options)
    asked.refuse(card, choice.model.folder)
    _refuse_several(choice.model)
    return replace(choice, model=replace(choice.model, card=card))


def _resolved(asked: LiveRequest) -> Model:
    model = resolve_model(asked.model, card=asked.card, options=asked.card_options)
    _refuse_several(model)
    asked.refuse(model.card, model.folder)
    return model


def _source_card(source: Source, asked: LiveRequest) -> tuple[ModelCard, Path]:
    card, folder = source_card(
        source,
        asked.card,
        asked.card_options,
        trust_code=asked.trust_code,
        trust_pickle=asked.trust_pickle,
    )
    asked.refuse(card, folder)
    return card, folder


def _certified(asked: LiveRequest, progress: Progress) -> LiveRecord:
    """A bundle's entry or a folder of engines, at the shape that they have."""
    choice = _chosen(asked)
    model = choice.model
    if asked.fit == "stream" and asked.stream is not None:
        return _refitted(asked, choice, progress)
    (place,) = engine_folders(choice, trust_engine=asked.trust_engine, progress=progress).values()
    kept = place.parent.name == "engine" and place.parent.parent.name == "stages"
    return LiveRecord(
        card=card_to_dict(model.card),
        folder=str(model.folder.resolve()),
        target=str(choice.target),
        variant=model.variant.id,
        compute=choice.options.compute,
        engine=place.name if kept else "",
        place="" if kept else str(place),
        own_shape=_fits(model.card, asked.stream),
        verdict=choice.verdict,
        warnings=choice.warnings,
        files=_decoder(model),
    )


def _refitted(asked: LiveRequest, choice: Choice, progress: Progress) -> LiveRecord:
    """A bundle's entry at the stream's shape, where that was insisted on."""
    if choice.model.engines:
        raise BadInput(
            f"{asked.model} holds compiled engines, whose shape is fixed.",
            hint="Give the model that they were compiled from.",
        )
    assert asked.stream is not None
    source = Source(asked.model, "onnx", choice.model.variant.graphs["main"])
    found = stream_fit(source, choice.model.card, asked.stream)
    fitted = _fitted(choice.model, found, asked, progress)
    engine = compile_graphs(
        fitted.variant.paths,
        choice.target,
        choice.probe,
        choice.options,
        trust_engine=asked.trust_engine,
        progress=progress,
    )["main"]
    changed = found.size != found.model
    warning = (
        f"{choice.model.variant.id} was certified at {shape_text(found.model)} and runs at "
        f"{shape_text(found.size)}: its certificate says nothing of that; deploy it with "
        f"--stream {asked.stream[0]}x{asked.stream[1]}."
    )
    return _record(
        fitted,
        str(choice.target),
        choice.options.compute,
        engine,
        own_shape=True,
        warnings=(*choice.warnings, *((warning,) if changed else ())),
        chosen="",
        files={},
    )


def _model(asked: LiveRequest, progress: Progress) -> _Ready:
    """A plain graph or a source, at the stream's shape where that can be had."""
    if _is_graph(asked.model):
        return _graph_ready(_resolved(asked), asked, progress)
    source = Source.parse(asked.model, asked.arch)
    card, folder = _source_card(source, asked)
    found, warnings = _wanted(source, card, asked)
    try:
        made = _exported(source, card, folder, found, asked, progress)
    except CacheUnwritable:
        raise
    except EdgekitError as error:
        if found is None or asked.fit == "stream":
            raise
        warnings = (_kept(error),)
        found = None
        made = _exported(source, card, folder, None, asked, progress)
    model = Model(
        text=asked.model,
        name=source.name,
        variant=made.variant,
        card=made.card,
        folder=folder.resolve(),
    )
    if made.shapes.verdict == "FAIL":
        warnings = (*warnings, "The exported graph differs from the network in PyTorch.")
    return _Ready(model, found is not None, (*warnings, *_said(found)), made.files)


def _graph_ready(model: Model, asked: LiveRequest, progress: Progress) -> _Ready:
    source = Source(asked.model, "onnx", str(model.variant.paths["main"]))
    found, warnings = _wanted(source, model.card, asked)
    if found is None:
        return _Ready(_closed(model, asked, progress), False, warnings)
    if found.size == found.model and not _is_open(model.card):
        return _Ready(model, True, warnings)
    try:
        return _Ready(_fitted(model, found, asked, progress), True, (*warnings, *_said(found)))
    except CacheUnwritable:
        raise
    except EdgekitError as error:
        if asked.fit == "stream":
            raise
        return _Ready(model, False, (*warnings, _kept(error)))


def _closed(model: Model, asked: LiveRequest, progress: Progress) -> Model:
    """The graph with what is dynamic fixed at the card's size, which engines run faster.

    A graph that cannot be fixed runs as it is: nobody asked for it.
    """
    preprocess = model.card.preprocess
    assert preprocess is not None, "what shows nothing was refused"
    if not _is_open(model.card) or preprocess.resize != "letterbox":
        return model
    size = preprocess.size
    same = StreamFit((size[1], size[0]), size, size, exported=False)
    try:
        return _fitted(model, same, asked, progress)
    except CacheUnwritable:
        raise
    except EdgekitError:
        return model


def _wanted(
    source: Source, card: ModelCard, asked: LiveRequest
) -> tuple[StreamFit | None, tuple[str, ...]]:
    """The stream's shape, or None and why the model's own is kept where that is worth a word."""
    if asked.fit == "model" or asked.stream is None or card.preprocess is None:
        return None, ()
    if asked.fit is None and card.preprocess.resize != "letterbox":
        # It pads nothing, so there is nothing to win.
        return None, ()
    try:
        return stream_fit(source, card, asked.stream), ()
    except EdgekitError as error:
        if asked.fit == "stream":
            raise
        return None, (_kept(error),)


def _kept(error: EdgekitError) -> str:
    return f"The model's own shape is kept: {error}"


def _said(found: StreamFit | None) -> tuple[str, ...]:
    return (str(found),) if found is not None and found.size != found.model else ()


def _exported(
    source: Source,
    card: ModelCard,
    folder: Path,
    found: StreamFit | None,
    asked: LiveRequest,
    progress: Progress,
) -> ExportedModel:
    """Export a source once, as a deployment without data would; the cache serves both."""
    if found is not None and found.exported:
        card = card_at(card, found.size)
    request = SourceRequest(
        source=source, trust_code=asked.trust_code, trust_pickle=asked.trust_pickle
    )
    return exported(Stages(progress), request, card, None, found, folder)


def _fitted(model: Model, found: StreamFit, asked: LiveRequest, progress: Progress) -> Model:
    """The model's graph at the stream's shape, from the cache or made."""
    graph = model.variant.paths["main"]
    parts = {
        "graph": graphs_digest({"main": graph}),
        "card": digest(model.card),
        "size": shape_text(found.size),
        **tools("onnx", "onnxruntime", "numpy", by=("edgekit.jobs.steps.reshape",)),
    }

    def make(folder: Path) -> None:
        card = fit_graph(
            graph,
            folder / "main.onnx",
            model.card,
            found.size,
            folder=model.folder,
            trust_code=asked.trust_code,
            progress=progress,
        )
        (folder / _CARD).write_bytes(msgspec.json.encode(card))

    stored = fetch(
        "shape", f"{model.name} at {shape_text(found.size)}", parts, make, progress=progress
    )
    card = read_json(stored.folder / _CARD, ModelCard)
    variant = Variant(
        id=model.variant.id,
        precision=model.variant.precision,
        graphs={"main": str(stored.folder / "main.onnx")},
    )
    return replace(model, variant=variant, card=card, bundle=None)


def _fits(card: ModelCard, stream: tuple[int, int] | None) -> bool:
    """Whether a model's input is the stream's own shape already, as deploy --stream made it."""
    if stream is None or card.preprocess is None or card.preprocess.resize != "letterbox":
        return False
    size = card.preprocess.size
    return size == stream_shape(stream, DEFAULT_STRIDE, size)


def _is_open(card: ModelCard) -> bool:
    """Whether some axis of an input is dynamic."""
    return any(
        not isinstance(size, int) for tensor in card.inputs.values() for size in tensor.shape
    )


def _refuse_several(model: Model) -> None:
    graphs = model.engines or model.variant.graphs
    if len(graphs) > 1:
        raise BadInput(
            f"{model.text} is a model of several graphs ({', '.join(graphs)}); the demo shows "
            "models of one, which takes a picture."
        )


def _record(
    model: Model,
    target: str,
    compute: str,
    engine: CachedEngine,
    *,
    own_shape: bool,
    warnings: tuple[str, ...],
    chosen: str,
    files: Mapping[str, str],
) -> LiveRecord:
    return LiveRecord(
        card=card_to_dict(model.card),
        folder=str(model.folder.resolve()),
        target=target,
        variant=model.variant.id,
        compute=compute,
        engine=engine.key,
        own_shape=own_shape,
        warnings=warnings,
        chosen=chosen,
        files={**files, **_decoder(model)},
    )


def _decoder(model: Model) -> dict[str, str]:
    head = model.card.postprocess
    file = decoder_file(head.decode, model.folder) if head is not None else None
    found = file is not None and file.is_file()
    return {str(file.resolve()): sha256_file(file)} if found and file is not None else {}


def _beside(text: str) -> dict[str, str]:
    """Files with the weights of an ONNX file."""
    path = Path(text)
    if text.partition(":")[0] in SCHEMES or path.suffix.lower() != ".onnx" or not path.is_file():
        return {}
    return {str(file.resolve()): sha256_file(file) for file in external_files(path)}

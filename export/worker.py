"""The whole export of one source in the current process: a plain function for a child process."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgekit.core.card import GraphCard, ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.inputs import parse_shape, with_typical
from edgekit.core.names import closest
from edgekit.core.runtime import Array, Feeds
from edgekit.core.source import Source
from edgekit.core.trials import (
    answer_trials,
    example_feeds,
    named_as,
    trials,
    with_real_sizes,
)
from edgekit.export.builtin.catalogue import builtin_card
from edgekit.export.cleanup import GraphRunner, clean
from edgekit.export.load import Loaded, load_source
from edgekit.export.metadata import card_of, graph_card, put_card, with_card
from edgekit.export.onnx_file import read_plain, write_onnx
from edgekit.export.to_onnx import export_graph, name_axes, opset_of
from edgekit.export.torch_graph import torch_graph
from edgekit.tasks.preprocess import picture_axes

__all__ = ["ExportOutcome", "ExportRequest", "export_model"]

Trial = tuple[Feeds, dict[str, Array]]


@dataclass(frozen=True)
class ExportRequest:
    """What to export; it travels to a child process, so `runner` is a module's own function.

    Attributes:
        source: What the user named.
        folder: Existing folder that receives one ROLE.onnx a graph.
        card: The user's card; None takes the one that the source carries, else "raw".
        inputs: Input name (or ROLE.NAME) to its shape as text, "batch,3,224,224"; overrides the
            card.
        opset: ONNX operator set; None means the exporter's own.
        trust_code: Allow `arch` in a file of the user's.
        trust_pickle: Allow weights that only a full pickle can load.
        feeds: Real inputs of batch one, by role; where there are none they are generated.
        seed: Of generated inputs.
        runner: Runs an ONNX file, to check the clean-up; see edgekit.export.cleanup.clean.
    """

    source: Source
    folder: Path
    card: ModelCard | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    opset: int | None = None
    trust_code: bool = False
    trust_pickle: bool = False
    feeds: Mapping[str, Sequence[Feeds]] = field(default_factory=dict)
    seed: int = 0
    runner: GraphRunner | None = None


@dataclass(frozen=True)
class ExportOutcome:
    """What was exported.

    Attributes:
        graphs: Role to the ONNX file.
        exporter: "torch.export", "torchscript" (the fallback, for at least one graph) or "onnx".
        opset: Read back from the files; the highest of several.
        ir_version: Likewise.
        card: With the graphs' own tensors filled in, as it stands in their metadata.
        reference: Role to (inputs, outputs of PyTorch eager) for every shape tried; a role that
            was an ONNX file has none.
        notes: Sentences worth telling.
        unjudged: A sentence for every size at which PyTorch gave no answer to compare with.
        code: Files of Python code, neither edgekit's nor an installed library's, that were loaded
            on the way: the network's definition and what it imports.
    """

    graphs: dict[str, Path]
    exporter: str
    opset: int
    ir_version: int
    card: ModelCard
    reference: dict[str, list[Trial]]
    notes: tuple[str, ...]
    unjudged: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Graph:
    model: Any
    card: GraphCard
    exporter: str
    trials: list[Trial]
    notes: list[str]
    unjudged: list[str] = field(default_factory=list)


def export_model(request: ExportRequest) -> ExportOutcome:
    """Export every network of a source, clean it up, put the card in and write the files.

    Run it in a process of its own: torch.onnx keeps state that spoils the next export.

    Args:
        request: What to export and where to.

    Raises:
        BadInput: Source, card, shapes or graph are wrong; the message says which.
        MissingLibrary: torch, onnx or onnxscript is not installed.
    """
    loaded = load_source(
        request.source,
        request.card,
        trust_code=request.trust_code,
        trust_pickle=request.trust_pickle,
    )
    read = {
        role: read_plain(network.onnx)
        for role, network in loaded.items()
        if network.onnx is not None
    }
    opened = {role: model for role, (model, _) in read.items()}
    card = _card(request, loaded, opened)
    _refuse_unknown_roles(card, loaded, request)
    shapes = _shapes_by_role(request.inputs, loaded)
    graphs: dict[str, _Graph] = {}
    for role, network in loaded.items():
        where = request.source.text if role == "main" else f"{request.source.text} ({role})"
        own = _with_shapes(card.graph(role), shapes[role])
        if role in opened:
            graphs[role] = _from_onnx(*read[role], own, where, role, request, card)
        else:
            graphs[role] = _from_torch(network, own, where, role, request)
    card = card.with_graphs({role: graph.card for role, graph in graphs.items()})
    paths = {}
    for role, graph in graphs.items():
        put_card(graph.model, card, role)
        paths[role] = request.folder / f"{role}.onnx"
        write_onnx(graph.model, paths[role])
    exporters = {graph.exporter for graph in graphs.values()}
    return ExportOutcome(
        graphs=paths,
        exporter=next(
            name for name in ("torchscript", "torch.export", "onnx") if name in exporters
        ),
        opset=max(opset_of(graph.model) for graph in graphs.values()),
        ir_version=max(int(graph.model.ir_version) for graph in graphs.values()),
        card=card,
        reference={role: graph.trials for role, graph in graphs.items() if graph.trials},
        notes=tuple(note for graph in graphs.values() for note in graph.notes),
        unjudged=tuple(text for graph in graphs.values() for text in graph.unjudged),
        code=_loaded_code(),
    )


def _loaded_code() -> tuple[str, ...]:
    """Files of the modules that are neither edgekit's nor installed."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
    files = {
        str(Path(file).resolve())
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in ("edgekit", "__main__", "__mp_main__")
        and (file := getattr(module, "__file__", None)) is not None
        and file.endswith(".py")
        and Path(file).is_file()
        and Path(file).is_file()
        and not file.startswith(installed)
    }
    return tuple(sorted(files))


def _from_torch(
    network: Loaded, card: GraphCard, where: str, role: str, request: ExportRequest
) -> _Graph:
    graph = torch_graph(network, card, where, real=request.feeds.get(role, ()))
    wanted = trials(graph.inputs, graph.real, request.seed)
    answers, failures = answer_trials(graph, wanted)
    judged = [answer for answer in answers if answer.finite]
    # Real inputs that were cut may be refused; a size that takes nothing generated is none.
    if not judged or (not graph.real and len(answers) < len(wanted)):
        raise failures[0].error
    model, exporter, notes = export_graph(graph, request.opset)
    feeds, outputs = [one.feeds for one in answers], [one.outputs for one in answers]
    notes = [*graph.notes, *notes, *name_axes(model, feeds, outputs)]
    judged.sort(key=lambda answer: sum(value.size for value in answer.feeds.values()))
    model, more = clean(model, [partial(dict, one.feeds) for one in judged], request.runner)
    inputs = with_real_sizes(graph.inputs, graph.real)
    full, _ = with_card(model, GraphCard(inputs, card.outputs, card.state, card.rows), where)
    return _Graph(
        model,
        full,
        exporter,
        [(one.feeds, one.outputs) for one in judged],
        [*notes, *more],
        [str(failure) for failure in failures],
    )


def _from_onnx(
    model: Any,
    changes: list[str],
    card: GraphCard,
    where: str,
    role: str,
    request: ExportRequest,
    whole: ModelCard,
) -> _Graph:
    opset = opset_of(model)
    if request.opset is not None and request.opset != opset:
        raise BadInput(
            f"{where} is written in opset {opset} and keeps it; {request.opset} was asked for.",
            hint="Leave --opset out, or export the model from PyTorch.",
        )
    _name_unnamed_axes(model, where)
    full, notes = with_card(model, card, where)
    real = [named_as(full.inputs, feed, where) for feed in request.feeds.get(role, ())]
    inputs = with_real_sizes(
        with_typical(full.inputs, picture_axes(full.inputs, whole) if role == "main" else {}), real
    )
    wanted = [trial.draws[0] for trial in trials(inputs, real, request.seed)]
    usual = partial(example_feeds, inputs, real, seed=request.seed)
    model, more = clean(model, [usual, *wanted], request.runner)
    full, _ = with_card(model, GraphCard(inputs, card.outputs, card.state, card.rows), where)
    return _Graph(model, full, "onnx", [], [*changes, *notes, *more])


def _name_unnamed_axes(model: Any, where: str) -> None:
    """Give dynamic axes without a name the one that graph_card gives them."""
    own = graph_card(model, where)
    # A model may hand an input on, and declare it anew as an output.
    sides = ((model.graph.input, own.inputs), (model.graph.output, own.outputs))
    for tensor, known in ((one, cards.get(one.name)) for side, cards in sides for one in side):
        if known is None:
            continue
        for label, size in zip(known.shape, tensor.type.tensor_type.shape.dim, strict=True):
            if isinstance(label, str):
                size.dim_param = label


def _card(
    request: ExportRequest, loaded: Mapping[str, Loaded], opened: Mapping[str, Any]
) -> ModelCard:
    """The user's card, else the one that the source carries, else an empty one."""
    if request.card is not None:
        return request.card
    if request.source.kind == "edgekit":
        return builtin_card(request.source.location)
    for network in loaded.values():
        if network.card is not None:
            return network.card
    for model in opened.values():
        found = card_of(model, request.source.text)
        if found is not None:
            return found
    return ModelCard()


def _refuse_unknown_roles(
    card: ModelCard, loaded: Mapping[str, Loaded], request: ExportRequest
) -> None:
    named = list(card.graphs)
    if card.inputs or card.outputs or card.state:
        named.append("main")
    for role in named:
        if role not in loaded:
            raise BadInput(
                f"The card describes a graph {role!r}, which {request.source.text} does not have.",
                hint=closest(role, loaded),
            )


def _shapes_by_role(
    inputs: Mapping[str, str], loaded: Mapping[str, Loaded]
) -> dict[str, dict[str, str]]:
    shapes: dict[str, dict[str, str]] = {role: {} for role in loaded}
    for key, text in inputs.items():
        role, dot, name = key.partition(".")
        if dot and role in loaded:
            shapes[role][name] = text
        elif "main" in loaded:
            shapes["main"][key] = text
        else:
            raise BadInput(
                f"--input {key}: the model has several graphs.",
                hint=f"Write ROLE.NAME=SHAPE; its roles are {', '.join(loaded)}.",
            )
    return shapes


def _with_shapes(card: GraphCard, shapes: Mapping[str, str]) -> GraphCard:
    """Put the shapes that the user typed in the place of the card's."""
    if not shapes:
        return card
    inputs = dict(card.inputs)
    for name, text in shapes.items():
        parsed = parse_shape(text)
        known = inputs.get(name)
        if known is None:
            inputs[name] = parsed
        else:
            dtype = parsed.dtype if ":" in text else known.dtype
            if known.layout is not None and len(known.layout) != len(parsed.shape):
                raise BadInput(
                    f"--input gives {name!r} {len(parsed.shape)} axes, and its layout in the card "
                    f"is {known.layout}.",
                    hint=f"Write one size or name for each of its {len(known.layout)} axes.",
                )
            inputs[name] = msgspec.structs.replace(known, shape=parsed.shape, dtype=dtype)
    return msgspec.structs.replace(card, inputs=inputs)

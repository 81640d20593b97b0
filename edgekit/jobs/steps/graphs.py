"""The stages that make graphs: export, calibration, variants; from the cache, or made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.certificate import Check, Verdict
from edgekit.core.documents import OutputParity
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.core.runtime import Feeds
from edgekit.core.source import Source
from edgekit.core.unshared import unshared_file
from edgekit.core.variant import Variant
from edgekit.export.onnx_file import external_files
from edgekit.jobs.process.feeds import Data
from edgekit.jobs.steps.bake import bake_main
from edgekit.jobs.steps.cache import Stored
from edgekit.jobs.steps.export import export_graphs
from edgekit.jobs.steps.keys import (
    digest,
    feeds_digest,
    graphs_digest,
    samples_digest,
    source_parts,
    tools,
)
from edgekit.jobs.steps.quantize import calibrate_graphs
from edgekit.jobs.steps.record_file import read_packed, write_packed
from edgekit.jobs.steps.request import SourceRequest
from edgekit.jobs.steps.reshape import StreamFit, fit_graph
from edgekit.jobs.steps.step import Stages
from edgekit.jobs.steps.variant import write_variant
from edgekit.tasks.baked import baked_card, parse_bake
from edgekit.tasks.stream_shape import shape_text

__all__ = [
    "EXPORT_IMAGES",
    "Calibrated",
    "ExportedModel",
    "calibrated",
    "exported",
    "unshared_source",
    "variant",
]

_RESULT = "result.msgpack"
_EXPORTERS = ("torch", "onnx", "onnxscript", "onnxslim", "onnxruntime", "numpy")
_QUANTIZERS = ("nncf", "onnx", "onnxruntime", "numpy", "opencv-python")
# Real images that an export is checked on.
EXPORT_IMAGES = 3


@dataclass(frozen=True)
class ExportedModel:
    """The model as fp32 graphs.

    Attributes:
        variant: "fp32", in the cache.
        card: With the graphs' own tensors filled in.
        final_card: The card of the graphs as they are delivered: with what is baked into them.
        shapes: How the exported graphs agree with their source.
        parity: The worst case of every output over all shapes that were tried.
        verdict: Of that.
        exporter: See edgekit.export.worker.ExportOutcome; likewise `opset`.
        tried: By role, the shapes of the inputs of every case.
        notes: Sentences worth telling.
        code: sha256 over the Python code that the model's definition consists of.
        fitted: Whether the graph was rewritten for the stream after its export.
        files: That code's files, to their sha256.
    """

    variant: Variant
    card: ModelCard
    final_card: ModelCard
    shapes: Check
    parity: tuple[OutputParity, ...]
    verdict: Verdict
    exporter: str
    opset: int
    tried: Mapping[str, tuple[dict[str, tuple[int, ...]], ...]]
    notes: tuple[str, ...]
    code: str
    fitted: bool = False
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibrated:
    """Decisions by role, as files; a graph that stays in float has none.

    Attributes:
        images: Calibration inputs that were used.
        notes: Why a graph stays in float.
    """

    decisions: dict[str, Path]
    images: int
    notes: tuple[str, ...]


def unshared_source(source: Source) -> Source:
    """The source with files that nobody else changes between their sum and their use."""
    path = source.path
    if path is None:
        return source
    # Of a folder, where one file is a role: ONNX files and programs, each with what it names.
    files = [path] if path.is_file() else [one for one in sorted(path.iterdir()) if one.is_file()]
    graphs = [file for file in files if file.suffix.lower() == ".onnx"]
    weights = [file for graph in graphs for file in external_files(graph)]
    first, *others = dict.fromkeys([*files, *weights])
    copy = unshared_file(first, others)
    return msgspec.structs.replace(source, location=str(copy if path == first else copy.parent))


def exported(
    stages: Stages,
    request: SourceRequest,
    card: ModelCard,
    data: Data | None,
    fit: StreamFit | None = None,
    folder: Path = Path(),
) -> ExportedModel:
    """Export the model, checked against its reference.

    Args:
        stages: The job's.
        request: What was asked for.
        card: At the stream's size already where the source is exported at it.
        data: None where none was given.
        fit: To the stream; None where none was named.
        folder: Where a decoder that the card names lies.
    """
    source = unshared_source(request.source)
    rewritten = fit if fit is not None and not fit.exported else None
    feeds = data.real_feeds(EXPORT_IMAGES) if data is not None else {}
    reshape = () if rewritten is None else ("edgekit.jobs.steps.reshape",)
    parts = {
        **source_parts(source),
        "card": digest(card),
        "input": digest(dict(request.inputs)),
        "opset": str(request.opset),
        "seed": str(request.seed),
        "images": feeds_digest(feeds),
        **tools(*_EXPORTERS, by=("edgekit.jobs.steps.export", *reshape)),
    }
    if request.min_parity is not None:
        parts["min_parity"] = f"{request.min_parity:g}"
    if rewritten is not None:
        parts["stream"] = shape_text(rewritten.size)

    def make(place: Path) -> None:
        made = export_graphs(
            source,
            card,
            place,
            inputs=request.inputs,
            feeds=feeds,
            opset=request.opset,
            trust_code=request.trust_code,
            trust_pickle=request.trust_pickle,
            min_parity=request.min_parity,
            seed=request.seed,
            progress=stages.progress,
        )
        outcome = made.outcome
        own = outcome.card
        if rewritten is not None:
            graph = outcome.graphs["main"]
            own = fit_graph(
                graph,
                graph,
                own,
                rewritten.size,
                folder=folder,
                trust_code=request.trust_code,
                progress=stages.progress,
            )
        content = {
            "graphs": {role: path.name for role, path in outcome.graphs.items()},
            "card": own,
            "shapes": made.shapes,
            "parity": made.parity,
            "verdict": made.verdict,
            "exporter": outcome.exporter,
            "opset": outcome.opset,
            "tried": {
                role: [{name: array.shape for name, array in given.items()} for given, _ in cases]
                for role, cases in outcome.reference.items()
            },
            "notes": made.notes,
            "code": {file: sha256_file(Path(file)) for file in outcome.code},
        }
        write_packed(place / _RESULT, content)

    stored = stages.fetch("export", source.name, parts, make, usable=_changed_code)
    result = read_packed(stored.folder / _RESULT)
    graphs = {role: str(stored.folder / name) for role, name in result["graphs"].items()}
    return ExportedModel(
        variant=Variant(id="fp32", precision="fp32", graphs=graphs),
        card=result["card"],
        final_card=baked_card(result["card"], parse_bake(request.bake)),
        shapes=result["shapes"],
        parity=tuple(result["parity"]),
        verdict=result["verdict"],
        exporter=result["exporter"],
        opset=result["opset"],
        tried={role: tuple(cases) for role, cases in result["tried"].items()},
        notes=result["notes"],
        code=digest(sorted(result["code"].values())),
        fitted=rewritten is not None,
        files=result["code"],
    )


def _changed_code(stored: Stored) -> str:
    """Why an export must be made again: the code it ran is no longer what it was."""
    for file, sha256 in read_packed(stored.folder / _RESULT)["code"].items():
        path = Path(file)
        if not path.is_file() or sha256_file(path) != sha256:
            return f"{path.name}, which defines the network, changed"
    return ""


def calibrated(
    stages: Stages, name: str, graphs: Variant, card: ModelCard, data: Data, seed: int
) -> Calibrated:
    """Calibrate the graphs once; the decisions serve every dialect.

    Args:
        stages: The job's.
        name: Of the model, for the line of the step.
        graphs: In fp32.
        card: Of them.
        data: Its calibration part is used.
        seed: Of the calibration.

    Raises:
        BadInput: Nothing in the graphs can be quantized.
    """
    parts = {
        "graphs": graphs_digest(graphs.paths),
        "card": digest(card),
        "data": samples_digest(data.dataset.calibration(), data.dataset.fingerprint),
        "seed": str(seed),
        **tools(*_QUANTIZERS, by=("edgekit.jobs.steps.quantize",)),
    }

    def make(folder: Path) -> None:
        try:
            found = calibrate_graphs(graphs, card, data, folder, seed, stages.progress)
        except BadInput as error:
            # A refusal is an answer too: the second deployment need not find it out again.
            write_packed(folder / _RESULT, {"refused": error.message, "hint": error.hint})
            return
        content = {
            "decisions": {role: path.name for role, path in found.decisions.items()},
            "images": found.images,
            "notes": tuple(found.notes),
        }
        write_packed(folder / _RESULT, content)

    stored = stages.fetch("calibration", name, parts, make)
    result = read_packed(stored.folder / _RESULT)
    if "refused" in result:
        raise BadInput(result["refused"], hint=result["hint"])
    decisions = {role: stored.folder / name for role, name in result["decisions"].items()}
    return Calibrated(decisions, result["images"], result["notes"])


def variant(
    stages: Stages,
    name: str,
    identifier: str,
    original: Variant,
    card: ModelCard,
    decisions: Mapping[str, Path],
    bake: frozenset[str],
    feeds: Mapping[str, Sequence[Feeds]],
) -> tuple[Variant, Sequence[str]]:
    """Write the graphs of one variant: "fp16" by a cast, "int8-DIALECT" from decisions.

    Pre- and postprocessing are baked in last, so that neither the quantizer nor the cast sees them.

    Args:
        stages: The job's.
        name: Of the model, for the line of the step.
        identifier: Of the variant.
        original: In fp32.
        card: Of its graphs.
        decisions: Of int8, by role.
        bake: What is baked in.
        feeds: Of fp16, see write_variant.

    Returns:
        The variant, and a sentence for everything that a user should know of it.
    """
    if identifier == "fp32" and not bake:
        return original, ()
    parts = {
        "variant": identifier,
        "bake": ",".join(sorted(bake)),
        "graphs": graphs_digest(original.paths),
        **tools(*_QUANTIZERS, by=_writers(identifier, bake)),
    }
    if bake:
        parts["card"] = digest(card)
    if decisions and identifier.startswith("int8"):
        parts["decisions"] = digest({role: sha256_file(path) for role, path in decisions.items()})
    if feeds and identifier == "fp16":
        parts["feeds"] = feeds_digest(feeds)

    def make(folder: Path) -> None:
        made, notes = original, list[str]()
        if identifier != "fp32":
            made, notes = write_variant(original, identifier, dict(decisions), folder, feeds)
        if bake:
            bake_main(made.paths, card, bake, folder / "main.onnx")
        write_packed(folder / _RESULT, {"notes": tuple(notes)})

    stored = stages.fetch("variant", f"{name}, {identifier}", parts, make)
    graphs = {role: str(stored.folder / f"{role}.onnx") for role in original.graphs}
    made = Variant(id=identifier, precision=identifier.partition("-")[0], graphs=graphs)
    return made, read_packed(stored.folder / _RESULT)["notes"]


def _writers(identifier: str, bake: Collection[str]) -> tuple[str, ...]:
    """The modules that write a variant."""
    writer = {"fp16": ("edgekit.jobs.steps.cast",), "int8": ("edgekit.jobs.steps.quantize",)}
    baker = ("edgekit.jobs.steps.bake",) if bake else ()
    return (*writer.get(identifier.partition("-")[0], ()), *baker)

"""A model fitted to a stream: which network input, and a graph at that input that is checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.core.card import ModelCard
from edgekit.core.documents import StreamShape
from edgekit.core.errors import BadInput, Unavailable
from edgekit.core.progress import Progress
from edgekit.core.source import Source
from edgekit.core.texts import whole_number
from edgekit.export.input_shape import graph_stride, resize_graph
from edgekit.jobs.process.child import run_in_child
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.golden import generated_pictures
from edgekit.jobs.process.plain import plain_is_usable, run_file
from edgekit.tasks.registry import task_for
from edgekit.tasks.stream_shape import DEFAULT_STRIDE, card_at, shape_text, stream_shape

__all__ = ["StreamFit", "fit_graph", "stream_fit", "stream_record"]

# Networks that are Python code are built anew at any size; graphs and programs are finished.
_FINISHED = ("onnx", "exported-program", "folder")


@dataclass(frozen=True)
class StreamFit:
    """The network input for a stream.

    Attributes:
        stream: (width, height) of the frames, pixels.
        size: (height, width) of the network input, pixels.
        model: (height, width) of the model's own, pixels.
        exported: Whether the source is exported at `size`; else its finished graph is rewritten.
    """

    stream: tuple[int, int]
    size: tuple[int, int]
    model: tuple[int, int]
    exported: bool

    def __str__(self) -> str:
        said = f"a {self.stream[0]}x{self.stream[1]} stream needs no padding there"
        if self.size == self.model:
            return f"The network input stays {shape_text(self.size)}: {said}."
        return (
            f"The network input is {shape_text(self.size)} instead of {shape_text(self.model)}: "
            f"{said}."
        )


def stream_fit(source: Source, card: ModelCard, stream: tuple[int, int]) -> StreamFit:
    """Choose the network input of a source for a stream.

    Args:
        source: The trained model.
        card: Its card.
        stream: (width, height), pixels.

    Raises:
        BadInput: The model has several graphs or takes no images, its card letterboxes nothing, or
            it does not take that size.
    """
    if source.kind == "folder":
        raise BadInput(
            f"{source.text} is a model of several graphs, which cannot be fitted to a stream.",
            hint="Leave --stream out.",
        )
    if card.preprocess is None:
        raise BadInput(
            f"{source.text} has no card that says how pictures go in, so it cannot be fitted to a "
            "stream.",
            hint="Give it a card with a task and `preprocess`.",
        )
    stride = whole_number(card.provenance.get("stride", "")) or DEFAULT_STRIDE
    if source.kind == "onnx" and source.path is not None:
        stride = graph_stride(source.path)
    size = stream_shape(stream, stride, card.preprocess.size)
    card_at(card, size)
    return StreamFit(stream, size, card.preprocess.size, source.kind not in _FINISHED)


def stream_record(fit: StreamFit | None) -> StreamShape | None:
    """What a document says of it."""
    if fit is None:
        return None
    return StreamShape(stream=fit.stream, shape=fit.size, model=fit.model)


def fit_graph(
    graph: Path,
    output: Path,
    card: ModelCard,
    size: tuple[int, int],
    *,
    folder: Path,
    trust_code: bool,
    progress: Progress,
) -> ModelCard:
    """Write a graph at another network input, and have the card's head read what it answers.

    Args:
        graph: An ONNX file.
        output: Where to write; may be `graph`.
        card: Of the graph, with its inputs filled in.
        size: (height, width), pixels.
        folder: Where a decoder that the card names lies.
        trust_code: Whether that decoder may run.
        progress: Receives what is being done.

    Returns:
        The card at that size.

    Raises:
        BadInput: See edgekit.export.input_shape; or the head does not read the outputs there.
        Unavailable: ONNX Runtime is not installed, which checks the result.
    """
    if not plain_is_usable():
        raise Unavailable(
            f"Fitting {graph.name} to a stream is checked with ONNX Runtime, which is not here.",
            hint="pip install 'edgekit[cpu]'",
        )
    return run_in_child(
        _fitted,
        graph,
        output,
        card,
        size,
        folder,
        trust_code,
        what=f"fitting {graph.name} to {shape_text(size)}",
        progress=progress,
    )


def _fitted(
    graph: Path,
    output: Path,
    card: ModelCard,
    size: tuple[int, int],
    folder: Path,
    trust_code: bool,
) -> ModelCard:
    fixed = resize_graph(graph, output, card, size, run_file)
    task = task_for(fixed, folder=folder, trust_code=trust_code)
    outputs = run_file(output, generated_feeds(fixed, 0, 1)["main"][0])
    _, fit = task.preprocess(generated_pictures(1, 0)[0])
    task.postprocess({name: array[:1] for name, array in outputs.items()}, fit)
    return fixed

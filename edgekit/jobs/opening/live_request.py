"""What the demo asks of a model, and the record of what was worked out for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.core.card import ModelCard
from edgekit.core.certificate import Verdict
from edgekit.core.errors import BadInput
from edgekit.tasks.misfit import refuse_misfit

__all__ = ["Fit", "LiveRecord", "LiveRequest", "own_card"]


Fit = Literal["stream", "model"]


# Tasks whose answers cannot be drawn onto a picture.
_NOT_SHOWN = ("raw", "audio", "text")


@dataclass(frozen=True)
class LiveRequest:
    """What the user asked of the model; see edgekit.api.demo.

    Attributes:
        model: As typed: an ONNX file, a bundle, BUNDLE@VARIANT, a folder of engines, or a source.
        stream: (width, height) of the frames, pixels; None where it is not known.
        every_frame: Whether frames a second count, and not the age of the newest.
        check: Told of the card as soon as it is known, before anything is made; it may refuse it.
        fit: Which network input: the stream's own shape or the model's; None means the stream's
            where the model was not certified at its own.
    """

    model: str
    stream: tuple[int, int] | None
    fit: Fit | None
    target: str | None
    compute: str | None
    threads: int | None
    card: Path | None
    card_options: Mapping[str, str]
    arch: str | None
    trust_code: bool
    trust_pickle: bool
    trust_engine: bool
    every_frame: bool = False
    check: Callable[[ModelCard], object] = lambda _: None

    def refuse(self, card: ModelCard, folder: Path) -> None:
        """Refuse what nothing has to be made for.

        Args:
            card: Of the graph that would run.
            folder: Where a decoder that it names lies.

        Raises:
            BadInput: Its answers cannot be drawn onto a picture, its head cannot read the graph, or
                what was asked for does not fit it.
        """
        _refuse_not_shown(card, self.model)
        refuse_misfit(card, self.model, folder=folder, trust_code=self.trust_code)
        self.check(card)


class LiveRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was worked out for a model, a stream and a machine.

    Attributes:
        card: Of the graph that runs.
        folder: Where a decoder that it names lies.
        target: As text.
        variant: Id.
        compute: Float precision.
        engine: Key of the compiled graph in the cache; empty where it lies at `place`.
        place: Folder of an engine outside the cache.
        own_shape: Whether the network input is the stream's own shape and not the model's.
        verdict: Of the certificate; None where nobody certified it, or not at this shape.
        warnings: What a user must know, each a sentence.
        chosen: Why this engine, one sentence; empty where there was no choice.
        files: Files that it rests on beside the model, to their sha256.
    """

    card: dict[str, Any]
    folder: str
    target: str
    variant: str
    compute: str
    engine: str = ""
    place: str = ""
    own_shape: bool = False
    verdict: Verdict | None = None
    warnings: tuple[str, ...] = ()
    chosen: str = ""
    files: dict[str, str] = {}


def own_card(model: str) -> BadInput:
    """Why --card is no option for a bundle or a folder of engines."""
    return BadInput(
        f"{model} brings its own card, so --card cannot replace it.",
        hint="Put single keys over it with --set KEY=VALUE.",
    )


def _refuse_not_shown(card: ModelCard, model: str) -> None:
    """Refuse a model whose answers cannot be drawn onto a picture.

    Args:
        card: Of the graph that would run.
        model: As typed, for the message.

    Raises:
        BadInput: Its task takes or gives no picture, or it has no card.
    """
    if card.task not in _NOT_SHOWN and card.preprocess is not None:
        return
    what = f"is of the task {card.task!r}"
    if card.task == "raw":
        what = "has no card that says what it answers"
        if "task" in card.provenance:
            what = f"is of the task {card.provenance['task']!r}, which has no head here"
    raise BadInput(
        f"{model} {what}, so there is nothing to show on a picture.",
        hint="Give a card with --card, see docs/card.md.",
    )

"""The demo at this moment as documents: what the page shows beside the picture, and its health."""

from __future__ import annotations

import time

import msgspec

from edgekit.core.documents import (
    DemoDocument,
    DemoFound,
    DemoHealthDocument,
    DemoStateDocument,
)
from edgekit.demo.output import AnsweredFrame
from edgekit.tasks.marks import BGR, class_colour, colour_of
from edgekit.tasks.predictions import BoxPrediction, ClassPrediction, MaskPrediction, Prediction

__all__ = ["found_in", "health_of", "moment_of"]

_FOUND = 100
_EVENTS = 20
# Frames are answered several times a second; a source at one frame a second is well too.
_SILENCE_S = 5.0


def moment_of(
    document: DemoDocument, view: AnsweredFrame | None, viewers: int
) -> DemoStateDocument:
    """Return the state of the demo.

    Args:
        document: The run so far.
        view: The newest; None before the first.
        viewers: Pages that look on.
    """
    demo = msgspec.structs.replace(document, events=document.events[-_EVENTS:])
    if view is None:
        return DemoStateDocument(demo=demo, viewers=viewers)
    found = found_in(view.prediction)
    return DemoStateDocument(
        demo=demo,
        frame=view.answer.frame.number,
        age_ms=view.answer.age_ns / 1e6,
        found=found[:_FOUND],
        found_total=len(found),
        viewers=viewers,
    )


def health_of(document: DemoDocument, view: AnsweredFrame | None) -> DemoHealthDocument:
    """Return whether the source is live and frames are answered."""
    state = document.source.state
    if view is None:
        return DemoHealthDocument(healthy=False, state=state, reason="No frame was answered yet.")
    silence = (time.perf_counter_ns() - view.answer.done_ns) / 1e9
    reason = ""
    if state != "live":
        said = document.events[-1].reason if document.events else ""
        reason = said or f"The source is {state}."
    elif silence > _SILENCE_S:
        reason = f"No frame was answered for {silence:.0f} s."
    return DemoHealthDocument(
        healthy=not reason, state=state, last_answer_s=round(silence, 3), reason=reason
    )


def found_in(prediction: Prediction) -> tuple[DemoFound, ...]:
    """Return what a prediction names, best first; nothing for a model without a task."""
    if isinstance(prediction, BoxPrediction):
        return tuple(
            DemoFound(
                label=one.label,
                class_index=one.class_index,
                score=_finite(one.score),
                box=one.box,
                colour=_hex(colour_of(one)),
                track=one.track,
            )
            for one in prediction
        )
    if isinstance(prediction, ClassPrediction):
        shares = [(one.label, one.class_index, one.probability) for one in prediction.top()]
    elif isinstance(prediction, MaskPrediction):
        shares = [(one.label, one.class_index, one.share) for one in prediction.shares]
    else:
        shares = []
    return tuple(
        DemoFound(label=label, class_index=at, score=_finite(share), colour=_hex(class_colour(at)))
        for label, at, share in shares
    )


def _finite(value: float) -> float | None:
    return value if value == value else None


def _hex(colour: BGR) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"

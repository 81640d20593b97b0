"""What may be put into a graph on request, and the card of a model that has it there."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from edgekit.core.card import ModelCard, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.tasks.decoders import is_user_decoder
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.task import EVALUATION_CONFIDENCE

__all__ = ["BAKES", "DETECTIONS", "baked_card", "parse_bake", "score_floor"]

# "preprocess": uint8 NHWC in, normalised inside. "nms": final detections out, a fixed number.
BAKES = ("preprocess", "nms")
# The one output of a graph with NMS inside: (batch, K, 6) float32.
DETECTIONS = "detections"


def parse_bake(words: Iterable[str]) -> frozenset[str]:
    """Read what to bake.

    Args:
        words: Of BAKES; several may stand in one text, between commas.

    Raises:
        BadInput: Another word; names the closest.
    """
    found = [one.strip() for word in words for one in word.split(",") if one.strip()]
    for word in found:
        if word not in BAKES:
            raise BadInput(f"{word!r} cannot be baked into a graph.", hint=closest(word, BAKES))
    return frozenset(found)


def score_floor(card: ModelCard) -> float:
    """Return the score that a graph with NMS inside reports nothing up to, 0 to 1."""
    assert card.postprocess is not None, "the card's own check"
    return min(EVALUATION_CONFIDENCE, card.postprocess.confidence)


def baked_card(card: ModelCard, what: Iterable[str]) -> ModelCard:
    """Return the card of a model whose graph does part of the work itself.

    With "preprocess" the image input is uint8 NHWC, and nothing is left to normalise outside:
    `scale` 1, `mean` 0, `std` 1. Resizing and the order of the channels (`colour`) stay outside.
    With "nms" the only output is DETECTIONS, (batch, K, 6) float32 of x1, y1, x2, y2 in pixels of
    the network's input, score and class, best first, unused rows zero; K is the card's
    `max_detections`, and `decode` is "end2end".

    Args:
        card: Of the model as it was exported, with its inputs filled in.
        what: Of BAKES; none returns the card as it is.

    Raises:
        BadInput: The model takes no images, is no detector, or cannot be baked.
    """
    words = parse_bake(what)
    baked = card
    if "preprocess" in words:
        baked = _with_pixels(baked)
    if "nms" in words:
        baked = _with_detections(baked)
    if not words:
        return card
    # Free text, so that whoever looks at the card later sees why it is not the one of the training.
    done = ", ".join(word for word in BAKES if word in words)
    return msgspec.structs.replace(baked, provenance={**card.provenance, "baked": done})


def _with_pixels(card: ModelCard) -> ModelCard:
    found = image_input(card) if card.preprocess is not None else None
    if card.preprocess is None or found is None:
        raise BadInput(
            "Preprocessing can be baked only into a model that takes images.",
            hint="Give a card with `task`, `preprocess` and the image input.",
        )
    name, tensor = found
    if tensor.dtype != "float32":
        raise BadInput(
            f"The image input {name!r} is {tensor.dtype}, and only one of float32 can have its "
            "preprocessing baked.",
            hint="A model that takes uint8 has it inside already.",
        )
    rows, columns = card.preprocess.size
    batch = tensor.shape[(tensor.layout or "NCHW").index("N")]
    channels = card.preprocess.channels
    pixels = TensorCard(
        shape=(batch, rows, columns, channels), dtype="uint8", layout="NHWC", range=(0, 255)
    )
    return msgspec.structs.replace(
        card,
        inputs={**card.inputs, name: pixels},
        preprocess=msgspec.structs.replace(
            card.preprocess, scale=1.0, mean=(0.0,) * channels, std=(1.0,) * channels
        ),
    )


def _with_detections(card: ModelCard) -> ModelCard:
    rules = card.postprocess
    if card.task != "detection" or rules is None:
        raise BadInput(
            f"NMS can be baked only into a detector, and this model's task is {card.task!r}.",
            hint="Leave `nms` out of --bake.",
        )
    if is_user_decoder(rules.decode):
        raise BadInput(
            f"The decoder {rules.decode!r} is Python code, which no graph can hold, so NMS cannot "
            "be baked.",
            hint="Decode inside the model, or leave `nms` out of --bake.",
        )
    batch = next((tensor.shape[0] for tensor in card.inputs.values() if tensor.shape), "batch")
    rows = TensorCard(shape=(batch, rules.max_detections, 6))
    return msgspec.structs.replace(
        card,
        outputs={DETECTIONS: rows},
        postprocess=msgspec.structs.replace(rules, decode="end2end"),
    )

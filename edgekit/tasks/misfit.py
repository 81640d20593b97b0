"""Whether a card can read its graph's outputs, said before anything is compiled."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.decoders import is_user_decoder
from edgekit.tasks.heads import yolox_cells
from edgekit.tasks.outputs import Outputs
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Fit

__all__ = ["refuse_misfit"]

# No score reaches it, so that reading costs nothing.
_ABOVE_ALL = 2.0
# Values of one output; a file may claim any number of them.
_MOST = 1 << 28


def refuse_misfit(
    card: ModelCard, where: str, *, folder: Path | None = None, trust_code: bool = False
) -> None:
    """Refuse a card whose task cannot be made, or whose head cannot read the graph's outputs.

    The head reads zeros of the outputs' shapes, so it is asked and not described a second time. A
    user's decoder is loaded and not called; outputs whose shapes are not known are left out.

    Args:
        card: Its outputs filled in as far as they are known.
        where: The model, for messages.
        folder: Where a decoder that the card names lies.
        trust_code: Whether that decoder may run.

    Raises:
        BadInput: Of the task, or of the head: shapes that it does not read, classes that are not
            as many as the labels.
    """
    task = task_for(card, folder=folder, trust_code=trust_code)
    rules = card.postprocess
    if card.preprocess is None or rules is None or is_user_decoder(rules.decode):
        return
    size = card.preprocess.size
    outputs = _zeros(card, len(yolox_cells(size)[0]))
    if not outputs:
        return
    try:
        task.postprocess(outputs, Fit(size, size, 1.0, 1.0, 0.0, 0.0), _ABOVE_ALL)
    except BadInput as error:
        raise BadInput(f"{where}: {error.message}", hint=error.hint) from error


def _zeros(card: ModelCard, rows: int) -> Outputs:
    """Outputs of one image; empty where a shape is not known.

    Args:
        card: With inputs and outputs.
        rows: Of a detector whose number of rows follows the size of the input.
    """
    batches = {tensor.shape[:1] for tensor in card.inputs.values()}
    arrays = {}
    for name, tensor in card.outputs.items():
        known = tensor.shape[:1] not in batches and isinstance(tensor.shape[0], int)
        first = tensor.shape[:1] if known else (1,)
        rest = tensor.shape[1:]
        named = sum(not isinstance(size, int) for size in rest)
        if named > 1 or (named and len(rest) != 2):
            return {}
        shape = [size if isinstance(size, int) else rows for size in (*first, *rest)]
        if math.prod(shape) > _MOST:
            return {}
        arrays[name] = np.zeros(shape, tensor.dtype)
    return arrays

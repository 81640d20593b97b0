"""Classification: an image to the probability of every class."""

from __future__ import annotations

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.tasks.cards import check_labels
from edgekit.tasks.outputs import Outputs, pick
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.results import Classification
from edgekit.tasks.task import Fit, Image, Input

__all__ = ["DECODES", "Classifier"]

# `decode` to whether the network's output still needs a softmax.
DECODES = {"softmax": True, "probabilities": False, "none": False}


class Classifier:
    """The task "classification".

    Args:
        card: `postprocess.decode` is "softmax" for logits, "probabilities" (or "none") for a
            network that ends in its own softmax.

    Raises:
        BadInput: Unknown decode, or `preprocess` contradicts the input.
    """

    def __init__(self, card: ModelCard) -> None:
        assert card.postprocess is not None, "the card's own check"
        decode = card.postprocess.decode
        if decode not in DECODES:
            raise BadInput(
                f"{decode!r} decodes no classification.", hint=closest(decode, list(DECODES))
            )
        self.card = card
        self._softmax = DECODES[decode]
        self._preprocessor = preprocessor(card)

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay an image into the network input; see `Preprocessor`."""
        return self._preprocessor(image, out)

    def postprocess(
        self,
        outputs: Outputs,
        fit: Fit,
        confidence: float | None = None,
        *,
        evaluation: bool = False,
    ) -> Classification:
        """Read the class probabilities off one output of (1, C), or (1, C, 1, 1).

        Raises:
            BadInput: No such output, or C is not the number of labels.
        """
        labels = len(self.card.labels)
        _, array = pick(
            outputs,
            reader="Classification",
            expected=f"(1, {labels or 'classes'})",
            fits=lambda shape: len(shape) >= 2 and shape[0] == 1 and np.prod(shape) == shape[1] > 0,
            prefers=lambda shape: shape[1] == labels,
        )
        values = array.reshape(-1).astype(np.float64)
        check_labels(self.card, len(values))
        if self._softmax:
            with np.errstate(invalid="ignore"):  # A broken network's NaN stays one.
                values = np.exp(values - values.max())
                values /= values.sum()
        return Classification(values.astype(np.float32))

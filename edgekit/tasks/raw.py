"""Tensors in, tensors out: a model whose meaning edgekit does not know."""

from __future__ import annotations

from edgekit.core.errors import BadInput
from edgekit.tasks.outputs import Outputs
from edgekit.tasks.results import Raw
from edgekit.tasks.task import Fit, Image, Input

__all__ = ["RawTask"]


class RawTask:
    """The task "raw": arrays are fed as they are, and there is no metric."""

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Refuse: nothing is known of what the inputs mean.

        Raises:
            BadInput: Always.
        """
        raise BadInput(
            "A model of the task 'raw' takes arrays, not images.",
            hint="Give .npz files by input name, or a card that says `task:` and `preprocess:`.",
        )

    def postprocess(
        self,
        outputs: Outputs,
        fit: Fit | None,
        confidence: float | None = None,
        *,
        evaluation: bool = False,
    ) -> Raw:
        """Return the outputs as they are."""
        return Raw(dict(outputs))

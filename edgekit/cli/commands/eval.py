"""`edgekit eval`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import options
from edgekit.cli.examples import examples
from edgekit.cli.reporting import reporting

if TYPE_CHECKING:
    from edgekit.core.documents import EvalDocument

__all__ = ["command"]


@click.command(
    "eval",
    epilog=examples(
        "edgekit eval model.onnx --data images --target openvino:cpu",
        "edgekit eval my.bundle@int8 --data images --target onnxruntime:cpu",
    ),
)
@options.model
@options.data(required=True, help="Labelled data; its evaluation part is scored.")
@options.target()
@options.own_compute
@options.card
@options.card_options
@options.calibration
@options.threads
@options.trust_code
@options.trust_engine
@options.allow_fallback
@options.provider_options
@options.seed
@reporting
def command(*, model: str, **rest: Any) -> EvalDocument:
    """Score MODEL on labelled data, with a 95 % interval.

    MODEL is an ONNX file, a bundle, BUNDLE@VARIANT, or a folder of engines (compile -o).
    """
    from edgekit import api

    return api.evaluate(model, **rest)

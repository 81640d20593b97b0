"""edgekit: a trained PyTorch model in, a certified bundle out.

The command line and `edgekit.api` make bundles; a program uses them through `edgekit.load`:

    import edgekit

    with edgekit.load("my.bundle") as predictor:
        for detection in predictor.predict("street.jpg"):
            print(detection.label, detection.score, detection.box)
"""

from __future__ import annotations

import os
import sys

# `python -m edgekit`: Python put the current folder first, where a typing.py may lie. Its place
# gets what the program `edgekit` has there: OpenCV counts on a first entry that is not its own.
if (
    sys.argv[:1] == ["-m"]
    and not getattr(sys.flags, "safe_path", False)
    and os.path.exists(sys.path[0])  # noqa: PTH110  (pathlib is not imported yet)
    and os.path.samefile(os.curdir, sys.path[0])  # noqa: PTH121
):
    sys.path[0] = os.path.dirname(sys.executable)  # noqa: PTH120

# isort: split
import importlib
from typing import TYPE_CHECKING

from edgekit.core.calls import ModelText, at_the_door
from edgekit.core.version import __version__

if TYPE_CHECKING:
    from edgekit.core.errors import BadInput, CheckFailed, EdgekitError, Unavailable
    from edgekit.jobs.opening.predictor import Predictor
    from edgekit.tasks.draw import draw
    from edgekit.tasks.predictions import (
        BoxPrediction,
        ClassPrediction,
        ClassScore,
        ClassShare,
        Detection,
        MaskPrediction,
        Prediction,
        RawPrediction,
    )

__all__ = [
    "BadInput",
    "BoxPrediction",
    "CheckFailed",
    "ClassPrediction",
    "ClassScore",
    "ClassShare",
    "Detection",
    "EdgekitError",
    "MaskPrediction",
    "Prediction",
    "Predictor",
    "RawPrediction",
    "Unavailable",
    "__version__",
    "draw",
    "load",
]


# Names that are imported when they are first asked for: `edgekit --help` waits for none of them.
_HOMES = {
    "edgekit.core.errors": ("BadInput", "CheckFailed", "EdgekitError", "Unavailable"),
    "edgekit.jobs.opening.predictor": ("Predictor",),
    "edgekit.tasks.draw": ("draw",),
    "edgekit.tasks.predictions": (
        "BoxPrediction",
        "ClassPrediction",
        "ClassScore",
        "ClassShare",
        "Detection",
        "MaskPrediction",
        "Prediction",
        "RawPrediction",
    ),
}


@at_the_door
def load(
    model: ModelText,
    *,
    target: str | None = None,
    compute: str | None = None,
    threads: int | None = None,
    confidence: float | None = None,
    trust_code: bool = False,
    trust_engine: bool = False,
) -> Predictor:
    """Open a model in this process, to be asked for predictions. Needs no torch.

    Of a bundle, the entry that did best when it was certified and that this machine can run is
    taken: `predictor.target`, `variant`, `compute` and `verdict` say which. What failed its
    certificate runs only where BUNDLE@VARIANT names it, and `warnings.warn` says so. Compiled
    engines are cached, so the second load is quick.

    Args:
        model: A bundle, BUNDLE@VARIANT, an ONNX file with its card inside or beside it, or a folder
            of engines (`edgekit compile -o`).
        target: Run here or not at all, "openvino:cpu". None: a bundle's best target that is usable
            here; for an ONNX file the first engine installed.
        compute: Float precision the engine may compute in: "fp32", "bf16", "fp16". None: as the
            bundle recommends; fp32 for an ONNX file.
        threads: Threads of a CPU engine. None: as certified; for an ONNX file all physical cores.
        confidence: Detections below it are left out, 0 to 1. None: the card's own.
        trust_code: Run a decoder that the model brings; it is Python code.
        trust_engine: Open the bundle's own engines where they fit this machine, or those of a
            folder that were not built on it; they are native code.

    Returns:
        The open predictor, a context manager.

    Raises:
        BadInput: No such model, variant or entry, or a file was changed since it was sealed.
        CheckFailed: Every entry that would do failed its certificate.
        Unavailable: The target, or every target of the bundle, is not on this machine.
    """
    import warnings

    from edgekit.jobs.opening.predictor import open_predictor

    predictor = open_predictor(
        model,
        target=target,
        compute=compute,
        threads=threads,
        confidence=confidence,
        trust_code=trust_code,
        trust_engine=trust_engine,
    )
    for sentence in predictor.warnings:
        warnings.warn(sentence, UserWarning, stacklevel=3)
    return predictor


if not TYPE_CHECKING:  # a type checker knows the names from above, and which there are not

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(importlib.import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What a model answered on images."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.text import Text

from edgekit.cli.show.text import facts, grid, line, milliseconds, path, sentence, verdict
from edgekit.core.documents import PredictDocument, PredictedImage, StageTime

__all__ = ["show_predict"]

# Images that the table shows; the document holds all of them.
_ROWS = 20


def show_predict(document: PredictDocument, console: Console) -> None:
    """Print an answer a line, and where the time went."""
    rows = [[image.image, _answer(image)] for image in document.images[:_ROWS]]
    console.print(grid(["image", document.task], rows, left=(0, 1)))
    if len(document.images) > _ROWS:
        where = "in predictions.json" if document.output else "with --json"
        line(console, f"… and {len(document.images) - _ROWS} more, {where}.", "dim")
    for one in document.skipped:
        sentence(console, f"skipped: {one}", "yellow", indent=2)
    line(console)
    pairs: list[tuple[str, str | Text]] = [
        ("target", f"{document.target}, {document.variant} in {document.compute}"),
        *((name, _time(stage)) for name, stage in document.stages.items()),
    ]
    if document.verdict is not None:
        pairs.insert(1, ("certificate", verdict(document.verdict)))
    if document.output:
        pairs.append(("pictures", path(document.output)))
    facts(console, pairs)


def _answer(image: PredictedImage) -> str:
    if image.detections is not None:
        counts = Counter(one.label for one in image.detections)
        return ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing"
    if image.classes is not None:
        return ", ".join(f"{one.label} {_share(one.probability)}" for one in image.classes[:3])
    return ", ".join(f"{one.label} {_share(one.share)}" for one in (image.regions or ())[:5])


def _share(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def _time(stage: StageTime) -> str:
    if stage.p50_ms is None:
        return f"{milliseconds(stage.mean_ms)} ms on average of {stage.n}"
    return f"{milliseconds(stage.p50_ms)} ms an image (p50 of {stage.n})"

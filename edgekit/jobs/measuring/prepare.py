"""From a cell to what can be measured: compiled, its inputs made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgekit.benchmarks.certificate import fell_back
from edgekit.core.errors import BadInput, CheckFailed
from edgekit.core.inputs import axis_sizes, batch_axis, generate_feeds, sizes_from_shapes
from edgekit.core.names import closest
from edgekit.core.progress import Progress
from edgekit.core.runtime import CompileOptions, Feeds
from edgekit.export.onnx_file import external_files
from edgekit.jobs.measuring.cells import Cell
from edgekit.jobs.model.resolve import Model, resolve_model
from edgekit.jobs.opening.engines import engines_of
from edgekit.jobs.process.child import Child
from edgekit.jobs.process.feeds import generated_feeds, open_data, roles
from edgekit.jobs.process.gauge import Conditions
from edgekit.jobs.process.golden import generated_pictures
from edgekit.jobs.process.interleave import MeasurementCase
from edgekit.jobs.process.targets import usable
from edgekit.jobs.process.worker import Worker
from edgekit.jobs.steps.engine import fitted, opener, options_for
from edgekit.jobs.steps.examine import whole_placement
from edgekit.jobs.steps.keys import digest, files_digest
from edgekit.tasks.datasets import readable
from edgekit.tasks.task import Image

__all__ = ["PreparedCell", "Preparer"]

# An end-to-end latency goes round so many images.
_IMAGES = 16


@dataclass(frozen=True)
class PreparedCell:
    """A cell that can be measured.

    Attributes:
        cell: What was asked for.
        variant: Id of the variant that runs.
        model_sha256: Of its graphs.
        fell_back: What of the arithmetic runs on another device, a sentence; empty where all runs
            where it should.
        executed_precision: The precision that does most of the arithmetic, read from the engine.
        compile_ns: What making the engine took when it was made.
        contestant: For the measurement.
    """

    cell: Cell
    variant: str
    model_sha256: str
    fell_back: str
    executed_precision: str
    compile_ns: int
    contestant: MeasurementCase


@dataclass(frozen=True)
class Preparer:
    """Makes cells of one model measurable.

    Attributes:
        model: As typed.
        shapes: Input name to shape as text.
        seconds: Of sampling at most.
        allow_fallback: Whether nodes may run on another device.
        trust_code: Whether a decoder that the card names may run.
        trust_engine: Whether an engine that was not built on this machine may be opened.
        data: Images for an end-to-end latency; None generates some.
        seed: Of generated inputs.
        progress: Told of every engine that is compiled.
        provider_options: For the targets that are execution providers.
    """

    model: str
    shapes: Mapping[str, str]
    seconds: float
    allow_fallback: bool
    trust_code: bool
    trust_engine: bool
    data: Path | None
    seed: int
    progress: Progress
    provider_options: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, cell: Cell, *, timeout: float | None = None) -> PreparedCell:
        """Compile the model for a cell and make its inputs.

        Args:
            cell: What is measured.
            timeout: Seconds that making the engine may take, and opening it; None sets no limit.

        Raises:
            EdgekitError: The model, the target or the conditions do not go together.
        """
        target, probe = usable(cell.target)
        resolved = resolve_model(self.model, probe=probe, engines=True)
        feeds = self._feeds(resolved, cell.batch)
        images = self._images(resolved, cell) if cell.measures.endswith(".e2e") else ()
        options = CompileOptions(
            compute=cell.compute,
            threads=cell.threads,
            allow_fallback=self.allow_fallback,
            hint="throughput" if cell.scenario == "offline" else "latency",
            streams=cell.streams,
            profiles=tuple(fitted(target, resolved.card, feeds)),
            provider_options=options_for(target, self.provider_options),
        )
        engines = engines_of(
            resolved,
            target,
            probe,
            options,
            trust_engine=self.trust_engine,
            timeout=timeout,
            progress=self.progress,
        )
        opened = opener(engines)
        words = f"{resolved.variant.id} on {target} in {cell.compute}"
        name = f"{words} ({cell.conditions})" if cell.conditions else words
        with Child(
            Worker, opened, resolved.card, Path(), False, what=name, seconds=timeout
        ) as child:
            placement = whole_placement(child.call("placement"))
        where = fell_back(placement, (target.device,))
        if where and not self.allow_fallback:
            raise CheckFailed(
                f"{words} fell back: {where}.",
                hint="--allow-fallback measures it nevertheless, as INVALID.",
            )
        return PreparedCell(
            cell=cell,
            variant=resolved.variant.id,
            model_sha256=_digest(resolved),
            fell_back=f"It fell back: {where}." if where else "",
            executed_precision=placement.executed_precision,
            compile_ns=sum(engine.compiled.compile_ns for engine in engines.values()),
            contestant=MeasurementCase(
                name=name,
                opener=opened,
                card=resolved.card,
                feeds=feeds,
                conditions=Conditions(
                    scenario=cell.scenario,
                    boundary=cell.boundary,
                    concurrency=cell.concurrency,
                    rate=cell.rate,
                    seconds=self.seconds,
                ),
                images=images,
                folder=resolved.folder,
                trust_code=self.trust_code,
            ),
        )

    def model_sha256(self, cell: Cell) -> str:
        """Sha256 of the graphs that a cell runs.

        Raises:
            EdgekitError: There is no such model or target.
        """
        return _digest(resolve_model(self.model, probe=usable(cell.target)[1], engines=True))

    def _images(self, model: Model, cell: Cell) -> Sequence[Image]:
        if model.card.preprocess is None:
            raise BadInput(
                f"{cell.measures} goes from an image to a result, and {model.text} takes arrays.",
                hint="Give it a card with a task, or measure latency.host in single-stream.",
            )
        if cell.batch != 1:
            raise BadInput(f"{cell.measures} is of one image: a batch cannot be given.")
        if self.data is None:
            return generated_pictures(_IMAGES, self.seed)
        samples = open_data(self.data, model.card, seed=self.seed).samples[:_IMAGES]
        return [one.image for one in readable(samples) if one.image is not None]

    def _feeds(self, model: Model, batch: int) -> dict[str, Feeds]:
        """One input of every graph: a picture for images, else random arrays of the asked size."""
        card, shapes = model.card, self.shapes
        known = [name for role in roles(card) for name in card.graph(role).inputs]
        for name in shapes:
            if name not in known:
                raise BadInput(f"{model.text} has no input {name!r}.", closest(name, known))
        if batch == 1 and not shapes:
            made = generated_feeds(card, self.seed, 1)
            return {role: several[0] for role, several in made.items()}
        feeds: dict[str, Feeds] = {}
        for role in roles(card):
            tensors = card.graph(role).inputs
            own = {name: text for name, text in shapes.items() if name in tensors}
            sizes = sizes_from_shapes(tensors, own)
            axis = batch_axis(tensors)
            if batch != 1 and axis is None:
                raise BadInput(
                    f"{model.text} has a fixed batch, so --batch {batch} cannot be measured.",
                    hint="Export it with a dynamic batch axis.",
                )
            if axis is not None and batch != 1:
                sizes = axis_sizes(tensors, {**sizes, axis: batch})
            feeds[role] = generate_feeds(tensors, sizes, self.seed)
        return feeds


def _digest(model: Model) -> str:
    if model.engines:
        # What they were compiled from: the same as of a graph in one file.
        return digest([engine.compiled.graph_sha256 for engine in model.engines.values()])
    graphs = model.variant.paths.values()
    return files_digest([one for path in graphs for one in (path, *external_files(path))])

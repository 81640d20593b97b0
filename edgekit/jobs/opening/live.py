"""What the demo runs: any model or source, its engine found again by content and opened here.

What was worked out once (the network input for the stream, the engine that is fastest here) is kept
by the content of everything that decided it. A second start reads that and opens the engine: it
imports neither onnx nor torch, and asks nothing of an engine that is not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from edgekit.benchmarks.environment import environment
from edgekit.core.card import ModelCard, card_from_dict
from edgekit.core.certificate import Verdict
from edgekit.core.errors import BadInput
from edgekit.core.files import sha256_file
from edgekit.core.json_text import read_json
from edgekit.core.progress import Progress
from edgekit.core.runtime import Session
from edgekit.core.source import Source
from edgekit.core.unshared import is_shared
from edgekit.jobs.model.bundle import MANIFEST, is_bundle
from edgekit.jobs.model.engine_folder import read_compiled
from edgekit.jobs.opening.live_request import (
    Fit,
    LiveRecord,
    LiveRequest,
    own_card,
)
from edgekit.jobs.steps.cache import RECORD, Stored, cache_root, fetch, stage_folder
from edgekit.jobs.steps.keys import digest, source_parts, tools
from edgekit.jobs.steps.lease import lease
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.runner import Runner
from edgekit.pipeline.slot import Handover
from edgekit.pipeline.workers import Workers
from edgekit.runtimes.catalogue import load_runtime, parse_target
from edgekit.tasks import cards
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Task

__all__ = ["LiveModel", "live_model", "open_live", "refuse_unfit"]


_STAGE = "live"
_MADE_BY = ("edgekit.jobs.opening.live_making",)


_RESULT = "live.json"


# What a source's export depends on beside edgekit.
_EXPORTERS = ("torch", "onnx", "onnxscript", "onnxslim", "ultralytics")


class LiveModel:
    """A model opened for a stream; close it.

    Attributes:
        card: Of the graph that runs.
        task: Lays pictures in and reads answers out.
        session: The opened engine.
        streams: Frames that the engine takes side by side, its threads shared among them.
        input_name: Of the input that takes the picture.
        target: Where it runs, "openvino:cpu".
        variant: Id of the variant that runs.
        compute: Float precision the engine may compute in.
        shape: (height, width) of the network input, pixels.
        own_shape: Whether that is the stream's own shape and not the model's.
        verdict: Of the certificate; None where nobody certified it, or not at this shape.
        warnings: What a user must know, each a sentence.
    """

    def __init__(
        self,
        record: LiveRecord,
        card: ModelCard,
        task: Task,
        session: Session,
        streams: int = 1,
    ) -> None:
        """Take over an opened session; `live_model` is the way to make one."""
        assert card.preprocess is not None, "models without are refused"
        found = image_input(card)
        self.card = card
        self.task = task
        self.session = session
        self.streams = streams
        self.input_name = found[0] if found is not None else session.inputs[0].name
        self.target = record.target
        self.variant = record.variant
        self.compute = record.compute
        self.shape: tuple[int, int] = card.preprocess.size
        self.own_shape = record.own_shape
        self.verdict: Verdict | None = record.verdict
        self.warnings = record.warnings

    def runner(
        self,
        inlet: Handover[Frame],
        deliver: Callable[[Answer], None],
        *,
        confidence: Callable[[], float | None] = lambda: None,
        every_frame: bool = False,
    ) -> Runner | Workers:
        """Make what answers frames with this model; see Runner, and Workers for several streams."""
        if every_frame and self.streams > 1:
            return Workers(
                self.session,
                self.task,
                inlet,
                deliver,
                input_name=self.input_name,
                count=self.streams,
                confidence=confidence,
            )
        return Runner(
            self.session,
            self.task,
            inlet,
            deliver,
            input_name=self.input_name,
            confidence=confidence,
            every_frame=every_frame,
        )

    def close(self) -> None:
        """Free the engine; calling it twice is allowed."""
        self.session.close()


def live_model(
    model: str | os.PathLike[str],
    *,
    stream: tuple[int, int] | None = None,
    fit: Fit | None = None,
    target: str | None = None,
    compute: str | None = None,
    threads: int | None = None,
    card: Path | None = None,
    card_options: Mapping[str, str] | None = None,
    arch: str | None = None,
    trust_code: bool = False,
    trust_pickle: bool = False,
    trust_engine: bool = False,
    every_frame: bool = False,
    progress: Progress,
) -> LiveModel:
    """Find or make the engine of a model for a stream, and open it in this process.

    Args:
        model: An ONNX file, a bundle, BUNDLE@VARIANT, a folder of engines, or a source such as
            edgekit:shapes or a .pt2 file.
        stream: (width, height) of the frames, pixels; None where it is not known.
        fit: "stream" insists on the stream's own shape, "model" keeps the model's; None takes the
            stream's where nothing was certified at the model's own and it can be had.
        target: Only there; None means wherever it is fastest, or as a bundle recommends.
        compute: Only in this float precision.
        threads: Threads of a CPU engine; None means all physical cores, or as certified.
        card: Card file that overrides every other.
        card_options: Keys of the card to values as YAML would give them, put over it.
        arch: For a state dict, the network that it belongs to.
        trust_code: Run Python code that the model brings.
        trust_pickle: Load weights by a full pickle.
        trust_engine: Open engines that were built elsewhere.
        every_frame: Frames a second count, and not the age of the newest: a CPU engine that is
            compiled for this shares its threads among several frames. One that was certified stays
            as it was.
        progress: Told of what is made and of the choice.

    Raises:
        BadInput: No such model, or one whose answers cannot be shown on a picture.
        CheckFailed: Every entry of a bundle failed its certificate, or no engine passed.
        Unavailable: The target is not here.
    """
    asked = LiveRequest(
        model=os.fspath(model),
        stream=stream,
        fit=fit,
        target=target,
        compute=compute,
        threads=threads,
        card=card,
        card_options=dict(card_options or {}),
        arch=arch,
        trust_code=trust_code,
        trust_pickle=trust_pickle,
        trust_engine=trust_engine,
        every_frame=every_frame,
    )
    return open_live(asked, progress)


def refuse_unfit(asked: LiveRequest) -> None:
    """Refuse what can be refused without making anything, where that takes a moment only.

    Raises:
        EdgekitError: As `open_live` would.
    """
    # Imported only where there is something to say: it brings in onnx.
    from edgekit.jobs.opening.live_making import refuse

    refuse(asked)


def open_live(asked: LiveRequest, progress: Progress) -> LiveModel:
    """Find or make what was asked for, and open it; see live_model."""
    if asked.fit == "stream" and asked.stream is None:
        raise BadInput("The size of the stream is not known, so no model can be fitted to it.")
    record = _found(asked, progress)
    shown = card_from_dict(record.card, asked.model)
    asked.check(shown)
    task = task_for(shown, folder=Path(record.folder), trust_code=asked.trust_code)
    if record.chosen:
        progress.note(record.chosen)
    place = Path(record.place) if record.place else stage_folder("engine", record.engine)
    compiled = read_compiled(place)
    session = load_runtime(parse_target(compiled.target).runtime).open(compiled, place)
    try:
        return LiveModel(record, shown, task, session, compiled.options.streams or 1)
    except BaseException:
        session.close()
        raise


def _found(asked: LiveRequest, progress: Progress) -> LiveRecord:
    """What was worked out for this before, or is now."""
    parts = _parts(asked)
    if parts is None:
        return _work_out(asked, progress)

    def make(folder: Path) -> None:
        (folder / _RESULT).write_bytes(msgspec.json.encode(_work_out(asked, progress)))

    stored = fetch(_STAGE, Path(asked.model).name, parts, make, progress=progress, usable=_changed)
    record = _read(stored)
    lease(cache_root()).use(record.engine)
    return record


def _work_out(asked: LiveRequest, progress: Progress) -> LiveRecord:
    # Imported only where something is to be made: it brings in onnx.
    from edgekit.jobs.opening.live_making import prepared

    return prepared(asked, progress)


def _parts(asked: LiveRequest) -> dict[str, str] | None:
    """Everything the answer depends on; None where that is another one each time.

    Engines are taken as they lie, and of a file that others can change nothing is remembered.
    """
    place, at, variant = asked.model.rpartition("@")
    in_bundle = bool(at) and is_bundle(Path(place))
    path: Path | None = Path(place if in_bundle else asked.model)
    assert path is not None
    parts: dict[str, str] = {}
    if path.exists() and is_shared(path):
        return None
    if is_bundle(path):
        if asked.card is not None:
            raise own_card(asked.model)
        if asked.trust_engine:
            return None
        parts["bundle"] = sha256_file(path / MANIFEST)
        parts["variant"] = variant if in_bundle else ""
        # A decoder of the user's is looked for where the bundle lies.
        parts["folder"] = str(path.resolve())
    elif path.is_dir():
        return None
    elif path.suffix.lower() == ".onnx" and path.is_file():
        parts["model"] = sha256_file(path)
    else:
        source = Source.parse(asked.model, asked.arch)
        parts.update({**source_parts(source), **tools(*_EXPORTERS)})
        path = source.path
    beside = asked.card or (cards.find_card(path) if path is not None else None)
    if beside is not None:
        parts["card"] = digest(cards.read_card(beside))
        parts["folder"] = str(beside.resolve().parent)
    return {
        **parts,
        "stream": str(asked.stream),
        "fit": str(asked.fit),
        "every frame": str(asked.every_frame),
        "target": str(asked.target),
        "compute": str(asked.compute),
        "options": digest(dict(asked.card_options)),
        "trust": f"{asked.trust_code} {asked.trust_pickle}",
        "machine": environment(asked.threads).sha256,
        "threads": str(asked.threads),
        **tools(by=_MADE_BY),
    }


def _read(stored: Stored) -> LiveRecord:
    return read_json(stored.folder / _RESULT, LiveRecord)


def _changed(stored: Stored) -> str:
    """Why what was worked out must not be used: something under it is gone or another one."""
    record = _read(stored)
    if not (stage_folder("engine", record.engine) / RECORD).is_file():
        return "its engine is no longer in the cache"
    for name, sha256 in record.files.items():
        path = Path(name)
        if not path.is_file() or sha256_file(path) != sha256:
            return f"{path.name} changed"
    return ""

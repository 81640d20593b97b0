"""`edgekit demo`: a model on a camera, a file or a stream, live."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.benchmarks.environment import environment
from edgekit.core.card import ModelCard
from edgekit.core.destination import JSON, Destination
from edgekit.core.documents import DemoDocument
from edgekit.core.files import pretty_json
from edgekit.core.progress import Progress
from edgekit.demo.controls import Controls
from edgekit.demo.counts import Counts, Running, Tally
from edgekit.demo.live import Live, no_frame
from edgekit.demo.outputs import Outputs
from edgekit.demo.presenting import Presenter, Track
from edgekit.demo.request import Request
from edgekit.demo.sources import can_wait, demo_source, usual_source
from edgekit.jobs.opening.live import LiveModel, open_live, refuse_unfit
from edgekit.jobs.opening.live_request import LiveRequest
from edgekit.jobs.steps.delivery import read_for
from edgekit.pipeline.frame import Frame, FrameRequest, Granted
from edgekit.pipeline.grabber import Grabber
from edgekit.pipeline.slot import NewestSlot, ShortQueue
from edgekit.pipeline.source import FrameSource
from edgekit.pipeline.states import SourceEvent, StateLog

__all__ = ["Fit", "run", "show"]

Fit = Literal["stream", "model"]
# Frames of --every-frame that wait for the model; each may be 25 MB.
_QUEUE = 2
# The model is compiled for the size of the frames, so without the first one there is nothing to do.
_FIRST_OPEN_S = 30.0
# A source that takes longer is waited for only once nothing else can be refused.
_SOON_S = 1.0


def show(
    model: str,
    *,
    source: str | None,
    size: tuple[int, int] | None,
    rate: float | None,
    pixel_format: str | None,
    display: Literal["window", "web", "none"] | None,
    host: str,
    port: int,
    every_frame: bool,
    save: Path | None,
    detections: str | None,
    track: bool,
    time: float | None,
    force: bool,
    **rest: Any,
) -> DemoDocument:
    """See edgekit.api.demo."""
    request = Request(
        source=source,
        wanted=FrameRequest(size=size, rate=rate, pixel_format=pixel_format),
        display=display,
        host=host,
        port=port,
        every_frame=every_frame,
        save=save,
        detections=detections,
        track=track,
        seconds=time,
        force=force,
    )
    return run(model, request, **rest)


def run(
    model: str,
    request: Request,
    *,
    stats: Path | None,
    confidence: float | None,
    classes: Sequence[str] | None,
    fit: Fit | None,
    target: str | None,
    compute: str | None,
    threads: int | None,
    card: Path | None,
    card_options: Mapping[str, str] | None,
    arch: str | None,
    trust_code: bool,
    trust_pickle: bool,
    trust_engine: bool,
    progress: Progress,
) -> DemoDocument:
    """See edgekit.api.demo."""
    read = read_for(model, request.source, card, arch)
    place = None
    if stats is not None:
        others = [Path(one) for one in (request.save, request.detections) if one is not None]
        place = Destination(
            stats, JSON, force=request.force, option="--stats", inputs=[*read, *others]
        )
    request = dataclasses.replace(request, inputs=read)

    def set_up(shown: ModelCard) -> Controls:
        rules = shown.postprocess
        own = 0.25 if rules is None else rules.confidence
        return Controls(shown.labels, confidence=confidence, classes=classes, own=own)

    # A threshold that no model has needs none.
    Controls((), confidence=confidence)
    with ExitStack() as stack:
        text = request.source or usual_source()

        def made() -> FrameSource:
            return demo_source(text, request.wanted, every_frame=request.every_frame)

        source = made()
        states = StateLog(lambda event: _tell(event, progress))
        tally = Tally(
            ShortQueue[Frame](_QUEUE) if request.every_frame else NewestSlot[Frame](),
            hold=can_wait(source),
        )
        counts = Counts(states, tally)
        outputs = Outputs(request, counts, progress)
        stack.callback(outputs.close)
        grabber = Grabber(source, tally, states, renew=made)
        stack.callback(grabber.stop)
        grabber.start()
        track = _tracker(request)
        asked = LiveRequest(
            model=model,
            stream=None,
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
            every_frame=request.every_frame,
            check=set_up,
        )
        granted = _granted(grabber, source.name, asked, request.seconds, states)
        size = granted.width, granted.height
        opened = open_live(dataclasses.replace(asked, stream=size), progress)
        stack.callback(opened.close)
        progress.stage("demo")
        controls = set_up(opened.card)
        counts.describe(_running(model, opened, source.name, controls, grabber))
        for sentence in opened.warnings:
            counts.note(sentence)
        presenter = Presenter(
            opened.card.labels,
            lambda: controls.setting,
            outputs.open(controls),
            counts,
            every_frame=request.every_frame,
            track=track,
        )
        runner = opened.runner(
            tally,
            presenter.deliver,
            confidence=lambda: controls.setting.confidence,
            every_frame=request.every_frame,
        )
        live = Live(grabber, runner, presenter, outputs, counts, controls, request.seconds)
        tally.begin()
        document = msgspec.structs.replace(live.run(), environment=environment(threads))
    if place is not None:
        place.write(pretty_json(document))
    return document


def _running(
    model: str, opened: LiveModel, source: str, controls: Controls, grabber: Grabber
) -> Running:
    return Running(
        model=model,
        task=opened.card.task,
        target=opened.target,
        variant=opened.variant,
        compute=opened.compute,
        verdict=opened.verdict,
        shape=opened.shape,
        own_shape=opened.own_shape,
        source=source,
        controls=controls,
        granted=lambda: grabber.granted,
    )


def _granted(
    grabber: Grabber, name: str, asked: LiveRequest, seconds: float | None, states: StateLog
) -> Granted:
    """Wait until the source is open, no longer than the demo is to last; what else is wrong first.

    Raises:
        EdgekitError: Of the model, or the source did not open.
    """
    began = time.monotonic()
    limit = min(_FIRST_OPEN_S, seconds or _FIRST_OPEN_S)
    granted = grabber.wait_open(min(_SOON_S, limit))
    if granted is None:
        refuse_unfit(asked)
        granted = grabber.wait_open(max(0.0, limit - (time.monotonic() - began)))
    if granted is None:
        raise no_frame(name, limit, states.events)
    return granted


def _tell(event: SourceEvent, progress: Progress) -> None:
    """Say what became of the source, where it is not what everybody expects."""
    if event.state in ("stalled", "reconnecting"):
        progress.note(f"The source is {event.state}: {event.reason}")
    elif event.state == "ended" and event.reason:
        progress.note(f"The source ended: {event.reason}")


def _tracker(request: Request) -> Track | None:
    if not request.track:
        return None
    from edgekit.demo.tracking import Tracker

    return Tracker().follow

"""Ten minutes of the live pipeline: does its memory grow, do its frames get older?

    python tools/peers/demo_soak.py MODEL [--minutes N] [--video FILE] [--target T]

A camera is played from memory at two rates, one that the engine keeps up with (30 frames a second,
or half of what it can where that is less) and one that is twice what it can, so that half of the
frames are dropped. Each minute has a line: frames answered, frames dropped, the median age of a
frame, the memory that the process holds, and how many pictures were alive at once at most so far.
Where that rises by one, which a short stall of the machine may do, the memory rises by a picture
and stays there; the pipeline's slot and lanes bound it. Growth is the slope of a line through what
is held beyond those pictures, every second after the first fifth.

The status is 1 where a goal is missed: under 1 MB in 10,000 frames; the age of the last third no
more than a tenth above that of the first; and, where the engine keeps up, a median age of at most
one interval plus one inference.
"""

from __future__ import annotations

import argparse
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from edgekit.core.progress import Silent
from edgekit.jobs.opening.live import live_model
from edgekit.pipeline.answer import Answer
from edgekit.pipeline.frame import Frame, Granted
from edgekit.pipeline.grabber import Grabber
from edgekit.pipeline.slot import NewestSlot
from edgekit.pipeline.states import StateLog

GROWTH_MB = 1.0
OLDER = 1.1
CAMERA = 30.0
_PICTURES = 60
_WARM = 0.2


class RepeatedImages:
    """A FrameSource that gives the same pictures over and over, at a rate, as a camera does.

    Attributes:
        most_alive: Pictures that somebody held at the same time, at most, so far.

    Args:
        pictures: (H, W, 3) uint8 BGR each.
        rate: Frames a second.
    """

    name = "pictures from memory"
    live = True

    def __init__(self, pictures: Sequence[np.ndarray], rate: float) -> None:
        self._pictures = pictures
        self._interval = 1 / rate
        self._start = 0.0
        self._number = 0
        self._alive: list[weakref.ref[np.ndarray]] = []
        self.most_alive = 0

    def open(self) -> Granted:
        """See FrameSource."""
        height, width = self._pictures[0].shape[:2]
        self._start, self._number = time.perf_counter(), 0
        return Granted(width=width, height=height, rate=1 / self._interval, backend="memory")

    def read(self) -> Frame:
        """See FrameSource; the picture is a copy, as a driver's would be."""
        due = self._start + self._number * self._interval
        time.sleep(max(0.0, due - time.perf_counter()))
        pixels = self._pictures[self._number % len(self._pictures)].copy()
        self._number += 1
        self._alive = [one for one in self._alive if one() is not None] + [weakref.ref(pixels)]
        self.most_alive = max(self.most_alive, len(self._alive))
        return Frame(pixels, self._number - 1, time.perf_counter_ns())

    def interrupt(self) -> None:
        """See FrameSource; a read never waits long."""

    def close(self) -> None:
        """See FrameSource."""


@dataclass
class Phase:
    """What was seen at one rate.

    Attributes:
        rate: Of the camera, frames a second.
        seconds: Since the start, of each sample; one a second.
        memory: Bytes held, by sample.
        alive: Pictures alive at once, at most, so far, by sample.
        picture_bytes: Of one of them.
        captured: Frames so far, by sample.
        answered: Frames so far, by sample.
        ages: Milliseconds, in order of time, by sample: of the frames answered since the last.
        inference_ms: Median.
    """

    rate: float
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    picture_bytes: int = 0
    captured: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    inference_ms: float = 0.0

    @property
    def growth_mb(self) -> float:
        """MB in 10,000 frames beyond the pictures alive, after the warm-up."""
        first = int(len(self.memory) * _WARM)
        if len(self.memory) - first < 3:
            return float("nan")
        beyond = np.asarray(self.memory) - np.asarray(self.alive) * self.picture_bytes
        slope = np.polyfit(self.captured[first:], beyond[first:] / 1e6, 1)[0]
        return float(slope) * 1e4

    @property
    def age_ms(self) -> float:
        """Median over the seconds after the warm-up."""
        return float(np.nanmedian(self.ages[int(len(self.ages) * _WARM) :]))

    @property
    def ageing(self) -> float:
        """The age in the last third over that in the first third after the warm-up."""
        kept = self.ages[int(len(self.ages) * _WARM) :]
        third = max(1, len(kept) // 3)
        return float(np.nanmedian(kept[-third:]) / np.nanmedian(kept[:third]))


def play(opened: Any, pictures: Sequence[np.ndarray], rate: float, seconds: float) -> Phase:
    """Play a camera for so long, and look once a second."""
    slot: NewestSlot[Frame] = NewestSlot()
    phase = Phase(rate, picture_bytes=pictures[0].nbytes)
    ages: list[float] = []
    inferences: list[float] = []
    answered = 0

    def deliver(answer: Answer) -> None:
        nonlocal answered
        answered += 1
        ages.append(answer.age_ns / 1e6)
        if len(inferences) < 2000:
            inferences.append(answer.stages_ns["inference"] / 1e6)

    camera = RepeatedImages(pictures, rate)
    grabber = Grabber(camera, slot, StateLog())
    runner = opened.runner(slot, deliver)
    process = psutil.Process()
    grabber.start()
    runner.start()
    start = time.monotonic()
    try:
        while (now := time.monotonic() - start) < seconds:
            time.sleep(min(1.0, seconds - now))
            fresh, ages[:] = list(ages), []
            phase.ages.append(float(np.median(fresh)) if fresh else float("nan"))
            phase.seconds.append(time.monotonic() - start)
            phase.memory.append(process.memory_info().rss)
            phase.alive.append(camera.most_alive)
            phase.captured.append(grabber.captured)
            phase.answered.append(answered)
            if runner.finished.is_set():
                runner.join()
                break
    finally:
        grabber.stop()
        runner.stop()
    phase.inference_ms = float(np.median(inferences)) if inferences else float("nan")
    return phase


def table(phase: Phase) -> str:
    """A phase by the minute, as Markdown."""
    lines = [
        "| minute | captured | answered | median age, ms | memory, MB | pictures alive at most |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    ends = [*range(0, len(phase.seconds), 60), len(phase.seconds)]
    for number, (first, last) in enumerate(pairwise(ends)):
        before = first - 1
        captured = phase.captured[last - 1] - (phase.captured[before] if first else 0)
        answered = phase.answered[last - 1] - (phase.answered[before] if first else 0)
        age = np.nanmedian(phase.ages[first:last])
        lines.append(
            f"| {number + 1} | {captured} | {answered} | {age:.1f} | "
            f"{phase.memory[last - 1] / 1e6:.1f} | {phase.alive[last - 1]} |"
        )
    return "\n".join(lines)


def verdicts(phase: Phase, *, keeps_up: bool) -> list[tuple[str, str, bool]]:
    """What was asked of a phase, what came of it, and whether that will do."""
    found = [
        (
            f"memory beyond those pictures: under {GROWTH_MB:g} MB in 10,000 frames",
            f"{phase.growth_mb:+.3f} MB",
            phase.growth_mb < GROWTH_MB,
        ),
        (
            f"age: last third at most {OLDER:g} times the first",
            f"{phase.ageing:.3f}",
            phase.ageing <= OLDER,
        ),
    ]
    if keeps_up:
        limit = 1000 / phase.rate + phase.inference_ms
        asked = f"age: at most an interval and an inference, {limit:.1f} ms"
        found.append((asked, f"{phase.age_ms:.1f} ms", phase.age_ms <= limit))
    return found


def pictures_of(video: Path) -> list[np.ndarray]:
    """The first pictures of a video."""
    capture = cv2.VideoCapture(str(video))
    found = []
    while len(found) < _PICTURES:
        done, frame = capture.read()
        if not done:
            break
        found.append(frame)
    if not found:
        raise SystemExit(f"{video} has no frame that OpenCV can read.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Play both cameras, print the tables, and say whether a goal was missed."""
    from demo import chosen_video

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="as for edgekit demo")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each camera")
    parser.add_argument("--video", type=Path, help="default: as for demo.py")
    parser.add_argument("--target", help="default: the fastest")
    parser.add_argument("--compute", help="default: the fastest")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args(arguments)
    pictures = pictures_of(chosen_video(given.video))
    height, width = pictures[0].shape[:2]
    opened = live_model(
        given.model,
        stream=(width, height),
        target=given.target,
        compute=given.compute,
        threads=given.threads,
        progress=Silent(),
    )
    failed = False
    try:
        quick = play(opened, pictures, 500.0, 6.0)
        able = (quick.answered[-1] - quick.answered[1]) / (quick.seconds[-1] - quick.seconds[1])
        print(f"{opened.target} {opened.compute} at {opened.shape[0]}x{opened.shape[1]}: ", end="")
        print(f"{able:.1f} frames/s\n")
        for keeps_up, rate in ((True, min(CAMERA, able / 2)), (False, 2 * able)):
            phase = play(opened, pictures, rate, 60 * given.minutes)
            print(f"A camera at {rate:.1f} frames/s\n\n{table(phase)}\n")
            for asked, came, fine in verdicts(phase, keeps_up=keeps_up):
                print(f"- {asked}: {came} {'PASS' if fine else 'FAIL'}")
                failed |= not fine
            print(flush=True)
    finally:
        opened.close()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Frames a second of edgekit's pipeline over the bare engine's, and the age of its frames.

    python tools/peers/pipeline_share.py MODEL [--target T]... [--video FILE] [--least 0.85]

Five ways to use one opened engine take turns, every second round mirrored: the engine alone, on one
input again and again; image after image, nothing overlapped; the pipeline on every frame; the
pipeline on the newest frame of a camera that gives four times what the engine can take; the same
without foresight, each frame taken as soon as there is room. A round in which other programs took
more than a tenth of the machine is left out where enough others are left. The status is 1 where the
median share of the pipeline on every frame is below --least.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from unittest import mock

import cv2
import numpy as np
import psutil

from edgekit.benchmarks.interleave import mirrored_rounds
from edgekit.core.progress import Silent
from edgekit.core.runtime import Session
from edgekit.jobs.opening.choose import choose, engine_folders
from edgekit.jobs.steps.engine import open_engines
from edgekit.pipeline.answer import STAGES, Answer
from edgekit.pipeline.foresight import Foresight
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.lane import Lane, image_feeds
from edgekit.pipeline.runner import Runner
from edgekit.pipeline.slot import Closed, Handover, NewestSlot, ShortQueue
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.task import Image, Task

BARE = "the engine alone"
EVERY = "pipeline, every frame"
QUIET = 0.1
ENOUGH = 5
# Frames a second of a camera, at most: more would only keep Python busy.
FASTEST = 500.0
# Frames at the start of a turn that do not count: threads start, buffers are bound.
WARM = 3


@dataclass
class Turn:
    """What one way did in one turn."""

    rate: float
    others: float
    ages_ms: Sequence[float] = ()
    stages_ms: dict[str, float] = field(default_factory=dict)


@dataclass
class OpenedEngine:
    """An engine with what goes through it."""

    session: Session
    task: Task
    name: str
    images: Sequence[Image]


def pictures(video: str | None, size: tuple[int, int]) -> list[Image]:
    """Read frames of a video, or generate some."""
    if video is None:
        random = np.random.default_rng(0)
        small = random.integers(0, 256, (30, size[1] // 8, size[0] // 8, 3), np.uint8)
        return [cv2.resize(each, size) for each in small]
    capture = cv2.VideoCapture(video)
    frames = []
    while len(frames) < 60 and (read := capture.read())[0]:
        frames.append(cv2.resize(read[1], size))
    return frames


def opened(model: str, target: str, threads: int, images: Sequence[Image]) -> OpenedEngine:
    """Open a model as the demo does."""
    choice = choose(model, target=target, threads=threads)
    folders = engine_folders(choice, trust_engine=False, progress=Silent())
    (session,) = open_engines(folders).values()
    card = choice.model.card
    return OpenedEngine(
        session, task_for(card, folder=choice.model.folder), image_input(card)[0], images
    )


def alone(engine: OpenedEngine, seconds: float) -> tuple[float, list[Answer]]:
    """Run the engine on one input."""
    binding = engine.session.bind(image_feeds(engine.session, engine.task, engine.name))
    return repeated(binding.run, seconds), []


def serial(engine: OpenedEngine, seconds: float) -> tuple[float, list[Answer]]:
    """Lay, run and read one image after the other."""
    binding = engine.session.bind(image_feeds(engine.session, engine.task, engine.name))
    lane = Lane(engine.task, binding, engine.name)
    number = 0

    def step() -> None:
        nonlocal number
        lane.lay(engine.images[number % len(engine.images)])
        lane.infer()
        lane.read(None)
        number += 1

    return repeated(step, seconds), []


def repeated(step: Callable[[], object], seconds: float) -> float:
    """Times a second."""
    for _ in range(WARM):
        step()
    count, start = 0, time.perf_counter()
    while (now := time.perf_counter()) - start < seconds:
        step()
        count += 1
    return count / (now - start)


def pipelined(
    engine: OpenedEngine, seconds: float, *, every: bool, rate: float | None
) -> tuple[float, list[Answer]]:
    """Run the pipeline; `rate` is the camera's, None gives frames as fast as they are taken."""
    inlet: Handover[Frame] = ShortQueue(2) if every else NewestSlot()
    answers: list[Answer] = []
    over = Event()

    def feed() -> None:
        start = time.perf_counter()
        number = 0
        while not over.is_set():
            if rate is not None and (early := start + number / rate - time.perf_counter()) > 0:
                time.sleep(early)
            pixels = engine.images[number % len(engine.images)]
            try:
                inlet.put(Frame(pixels, number, time.perf_counter_ns()))
            except Closed:
                return
            number += 1

    runner = Runner(
        engine.session,
        engine.task,
        inlet,
        answers.append,
        input_name=engine.name,
        every_frame=every,
    )
    camera = Thread(target=feed)
    camera.start()
    runner.start()
    time.sleep(seconds)
    over.set()
    runner.stop()
    camera.join()
    counted = answers[WARM:]
    if len(counted) < 2:
        return 0.0, []
    return 1e9 * (len(counted) - 1) / (counted[-1].done_ns - counted[0].done_ns), counted


def ways(
    engine: OpenedEngine, seconds: float
) -> dict[str, Callable[[], tuple[float, list[Answer]]]]:
    """The ways by name."""
    camera = min(FASTEST, 4 * alone(engine, seconds)[0])

    def hasty() -> tuple[float, list[Answer]]:
        with mock.patch.object(Foresight, "lead_ns", return_value=0):
            return pipelined(engine, seconds, every=False, rate=camera)

    return {
        BARE: lambda: alone(engine, seconds),
        "one after the other": lambda: serial(engine, seconds),
        EVERY: lambda: pipelined(engine, seconds, every=True, rate=None),
        "pipeline, newest frame": lambda: pipelined(engine, seconds, every=False, rate=camera),
        "newest frame, no foresight": hasty,
    }


def turn(way: Callable[[], tuple[float, list[Answer]]]) -> Turn:
    """Take one turn, and note what others took of the machine meanwhile."""
    process = psutil.Process()
    began, mine, machine = time.perf_counter(), process.cpu_times(), psutil.cpu_times()
    rate, answers = way()
    seconds = (time.perf_counter() - began) * (psutil.cpu_count() or 1)
    idle = sum(
        getattr(psutil.cpu_times(), key, 0) - getattr(machine, key, 0) for key in ("idle", "iowait")
    )
    own = sum(process.cpu_times()[:2]) - sum(mine[:2])
    stages = {
        name: float(np.median([answer.stages_ns[name] for answer in answers])) / 1e6
        for name in STAGES
        if answers
    }
    return Turn(
        rate,
        max(0.0, 1 - (idle + own) / seconds),
        [answer.age_ns / 1e6 for answer in answers],
        stages,
    )


def undisturbed(rounds: Sequence[dict[str, Turn]]) -> tuple[Sequence[dict[str, Turn]], int]:
    """Return the rounds without other programs where they are enough, and how many those are."""
    quiet = [each for each in rounds if max(one.others for one in each.values()) < QUIET]
    return (quiet if len(quiet) >= ENOUGH else rounds), len(quiet)


def table(rounds: Sequence[dict[str, Turn]]) -> float:
    """Print a row a way; return the share of the pipeline on every frame."""
    print("| way | frames/s | share of the engine's | age p50 ms | age p90 ms | where, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    shares = {}
    for name in rounds[0]:
        turns = [each[name] for each in rounds]
        # Of the medians that are shown, so that a share is the quotient of two rates of the table.
        bare = np.median([each[BARE].rate for each in rounds])
        low, middle, high = np.percentile([one.rate for one in turns], [25, 50, 75])
        shares[name] = float(middle / bare)
        ages = np.concatenate([one.ages_ms for one in turns])
        age = [f"{np.percentile(ages, each):.1f}" if len(ages) else "" for each in (50, 90)]
        where = [one.stages_ms for one in turns if one.stages_ms]
        stages = [
            f"{stage} {np.median([each[stage] for each in where]):.2f}"
            for stage in STAGES[1:]
            if where
        ]
        print(
            f"| {name} | {middle:.1f} | {shares[name]:.3f} "
            f"({low / bare:.3f} to {high / bare:.3f}) | {age[0]} | {age[1]} | "
            f"{', '.join(stages)} |"
        )
    return shares[EVERY]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and say whether the share was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--target", action="append")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False))
    parser.add_argument("--video")
    parser.add_argument("--size", default="1280x720", help="of the frames, WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a turn")
    parser.add_argument("--least", type=float, default=0.0)
    given = parser.parse_args(arguments)
    width, height = (int(each) for each in given.size.split("x"))
    images = pictures(given.video, (width, height))
    reached = True
    for target in given.target or ["onnxruntime:cpu", "openvino:cpu"]:
        engine = opened(given.model, target, given.threads, images)
        takers = ways(engine, given.seconds)
        order = mirrored_rounds(list(takers))
        rounds = []
        for _ in range(given.rounds):
            taken = {name: turn(takers[name]) for name in next(order)}
            rounds.append({name: taken[name] for name in takers})
        chosen, quiet = undisturbed(rounds)
        print(f"\n{given.model} on {target}, {given.threads} threads, {width}x{height}: ", end="")
        print(f"{len(chosen)} rounds, {quiet} of {len(rounds)} without others\n")
        reached &= table(chosen) >= given.least
        engine.session.close()
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())

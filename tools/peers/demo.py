"""edgekit's live demo against ultralytics' streaming prediction and a hand-written loop.

    python tools/peers/demo.py [--video FILE] [--rounds N] [--only TEXT] [-o FILE.json]

Needs the peer's environment (make_ultralytics_env.py) and makes the models (demo_models.py) where
they are not there yet. Every contestant is a process of its own (demo_worker.py) that stays loaded;
they take turns, every second round mirrored, each turn the same frames of the same video, with the
same processors to run on. A ratio is that of frames a second within a round; its interval is
Hodges' and Lehmann's over the rounds, 95 %. PASS is where the whole interval keeps the goal, FAIL
where the whole interval misses it, else UNCLEAR. The status is 1 where a goal fails. It
is 1 too where programs with one graph and engine show different numbers of boxes, and the frames
are named.

Cold starts: processes take turns from nothing to their first answer, files in the system's cache.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import make_ultralytics_env
import numpy as np
from demo_worker import usual_compute

from edgekit.benchmarks.interleave import mirrored_rounds
from edgekit.benchmarks.ratio import ratios

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "peers"
REAL_VIDEO = "video/one-by-one-person-detection.mp4"
FRAMES, SKIP = 40, 10
COLD_LIMIT_S = 1.0
ENGINES = ("onnxruntime", "openvino")
# What hand and bare are given, and what ultralytics is, by engine.
FILES = {
    "onnxruntime": ("yolo11n-{}.onnx", "yolo11n-{}.onnx"),
    "openvino": ("yolo11n-{}_openvino_model/*.xml", "yolo11n-{}_openvino_model"),
}


@dataclass(frozen=True)
class DemoCase:
    """What takes turns: a kind of demo_worker.py, an engine, and a shape as in the file's name.

    Attributes:
        kind: Of demo_worker.py.
        engine: "onnxruntime", "openvino"; "pytorch" for ultralytics' default, "default" for ours.
        shape: "640x640" (height first).
    """

    kind: str
    engine: str
    shape: str

    @property
    def name(self) -> str:
        """As it is printed."""
        return f"{self.kind} {self.engine} {self.shape}"

    @property
    def model(self) -> str:
        """Its file in the folder of models."""
        if self.engine == "pytorch":
            return "yolo11n.pt"
        if self.kind == "edgekit":
            # It compiles the ONNX for every engine, and makes the stream's own shape itself.
            square = self.shape.partition("x")[0] == self.shape.partition("x")[2]
            if square:
                return f"yolo11n-{self.shape}.onnx@model"
            return "yolo11n-dynamic.onnx@stream"
        return FILES[self.engine][self.kind == "ultralytics"].format(self.shape)

    def command(self, models: Path, video: Path, threads: int) -> list[str]:
        """The process."""
        python = peer_python() if self.kind == "ultralytics" else Path(sys.executable)
        model = next(models.glob(self.model), None) if "*" in self.model else models / self.model
        if model is None:
            raise SystemExit(f"{models} holds no {self.model}.")
        command = [python, HERE / "demo_worker.py", self.kind, model, video]
        return [*map(str, command), "--engine", self.engine, "--threads", str(threads)]


@dataclass(frozen=True)
class Pair:
    """Two contestants and the ratio of their frames a second that is to be reached.

    Attributes:
        what: In words.
        new: Whose frames a second go above the line.
        base: Below it.
        goal: At least; None only reports.
    """

    what: str
    new: DemoCase
    base: DemoCase
    goal: float | None = None


@dataclass
class Result:
    """What came of a pair; the ends are None where there were too few rounds for an interval."""

    pair: Pair
    ratio: float
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """PASS, FAIL, UNCLEAR, or empty without a goal."""
        goal = self.pair.goal
        if goal is None:
            return ""
        if self.low is None or self.high is None:
            return "UNCLEAR"
        return "PASS" if self.low >= goal else "FAIL" if self.high < goal else "UNCLEAR"


@dataclass
class Turns:
    """A contestant's turns, in order of the rounds.

    Attributes:
        rates: Frames a second.
        cores: Processors busy.
        boxes: Of each frame, in the last turn.
        load: Of the machine, one minute's, as the turn began.
        runs: What edgekit chose to run, where it says so.
    """

    runs: str = ""
    rates: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    boxes: list[int] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Frames a second over all turns, which the ratios are made of; each has as many frames."""
        return len(self.rates) / sum(1 / rate for rate in self.rates)


def groups(own: str) -> dict[str, list[Pair]]:
    """The pairs that take turns together, by the group's name.

    Args:
        own: The video's own shape.
    """
    square, small = "640x640", "416x416"
    found: dict[str, list[Pair]] = {}
    for engine in ENGINES:
        ours = DemoCase("edgekit", engine, square)
        theirs = DemoCase("ultralytics", engine, square)
        loop, bare = DemoCase("hand", engine, square), DemoCase("bare", engine, square)
        shaped = DemoCase("edgekit", engine, own)
        found[f"{engine} 640"] = [
            Pair("the same graph, engine and precision", ours, theirs, 1.05),
            Pair("a hand-written threaded loop", ours, loop, 0.98),
            Pair("the bare engine", ours, bare, 0.85),
            Pair(f"own shape {own} against the exported square", shaped, theirs, 1.4),
            Pair("(the hand-written loop against ultralytics)", loop, theirs),
            Pair("(the hand-written loop against the bare engine)", loop, bare),
        ]
        ours, bare = DemoCase("edgekit", engine, small), DemoCase("bare", engine, small)
        loop = DemoCase("hand", engine, small)
        found[f"{engine} 416"] = [
            Pair("the bare engine", ours, bare, 0.75),
            Pair("(the hand-written loop against the bare engine)", loop, bare),
        ]
    theirs = DemoCase("ultralytics", "pytorch", own)
    found["defaults"] = [
        Pair("our default against its default (PyTorch)", DemoCase("edgekit", "default", own),
             theirs, 3.0),
        Pair("(the hand-written loop at the own shape against PyTorch)",
             DemoCase("hand", "openvino", own), theirs),
    ]  # fmt: skip
    return found


def peer_python() -> Path:
    """The Python of the peer's environment."""
    python = make_ultralytics_env.DEFAULT / "bin" / "python"
    if not python.exists():
        raise SystemExit("Make the peer first: python tools/peers/make_ultralytics_env.py")
    return python


def settings() -> dict[str, str]:
    """The environment of every contestant."""
    config = str(make_ultralytics_env.DEFAULT / "config")
    offline = {"YOLO_CONFIG_DIR": config, "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    return {**os.environ, **offline}


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_processors(threads: int) -> None:
    """Give this process, and those that it starts, so many processors, where that can be done."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class Silence(Exception):
    """A contestant ended without an answer.

    Attributes:
        process: Which.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(process.pid)
        self.process = process


@contextmanager
def worker(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A contestant's process, ended with the block."""
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
            text=True, env=settings(),
        )  # fmt: skip
        try:
            yield process
        except Silence as silence:
            if silence.process is not process:
                raise
            process.wait(20)
            complaints.seek(0)
            name = " ".join(map(str, command[1:]))
            raise SystemExit(f"{complaints.read()[-2000:]}\nThis ended early: {name}") from None
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def heard(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of a contestant."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Silence(process)
    return json.loads(line)


def play(
    pairs: Sequence[Pair], models: Path, video: Path, threads: int, rounds: int
) -> dict[DemoCase, Turns]:
    """Let the contestants of a group take turns."""
    everyone = list(dict.fromkeys(side for pair in pairs for side in (pair.new, pair.base)))
    taken: dict[DemoCase, Turns] = {}
    with ExitStack() as stack:
        running: dict[DemoCase, subprocess.Popen[str]] = {}
        for one in everyone:
            process = stack.enter_context(worker(one.command(models, video, threads)))
            said = heard(process)
            running[one], taken[one] = process, Turns(runs=said.get("runs", ""))
            if "shape" in said and said["shape"] != [int(size) for size in one.shape.split("x")]:
                raise SystemExit(f"{one.name} runs at {said['shape']}.")
        # One turn each that does not count: the machine's clocks and everybody's caches.
        for process in running.values():
            _turn(process)
        order = mirrored_rounds(list(running))
        for number in range(rounds):
            for one in next(order):
                load = os.getloadavg()[0]
                said = _turn(running[one])
                turns = taken[one]
                turns.rates.append(said["frames"] / said["seconds"])
                turns.cores.append(said["cpu_seconds"] / said["seconds"])
                turns.boxes = said["boxes"]
                turns.load.append(load)
            print(f"round {number + 1} of {rounds}", end="\r", file=sys.stderr)
    return taken


def _turn(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"frames": FRAMES, "skip": SKIP}) + "\n")
    process.stdin.flush()
    return heard(process)


def judge(pairs: Sequence[Pair], taken: dict[DemoCase, Turns]) -> list[Result]:
    """The ratio of every pair."""
    results = []
    for pair in pairs:
        # The time of a frame: more frames a second of the new one are more time of the base.
        frame_ns = [[[1e9 / rate] for rate in taken[one].rates] for one in (pair.base, pair.new)]
        found = ratios(frame_ns[0], frame_ns[1], 0.95).mean
        results.append(Result(pair, found.ratio, found.low, found.high))
    return results


def different_boxes(taken: dict[DemoCase, Turns]) -> list[str]:
    """A sentence for each frame on which programs with one graph and engine differ in boxes."""
    found = []
    alike: dict[tuple[str, str], list[DemoCase]] = {}
    for one in taken:
        # "bare" answers nothing.
        if one.kind != "bare":
            alike.setdefault((one.engine, one.shape), []).append(one)
    for everyone in alike.values():
        counts = [taken[one].boxes for one in everyone]
        for frame, shown in enumerate(zip(*counts, strict=True)):
            if len(set(shown)) > 1:
                each = ", ".join(
                    f"{one.name} {count}" for one, count in zip(everyone, shown, strict=True)
                )
                found.append(f"frame {SKIP + frame}: boxes differ: {each}")
    return found


def cold_starts(
    models: Path, video: Path, threads: int, rounds: int
) -> dict[DemoCase, list[float]]:
    """Seconds from a process's start to its first answer, taking turns."""
    everyone = [
        DemoCase(kind, engine, "640x640")
        for kind in ("edgekit", "ultralytics", "hand")
        for engine in ENGINES
    ]
    everyone.append(DemoCase("ultralytics", "pytorch", "640x640"))
    taken: dict[DemoCase, list[float]] = {one: [] for one in everyone}
    order = mirrored_rounds(everyone)
    # The first round fills the system's cache and writes what is compiled ahead of time.
    for number in range(-1, rounds):
        for one in everyone if number < 0 else next(order):
            command = [*one.command(models, video, threads), "--first"]
            if one.kind == "edgekit":
                command = demo_command(one, models, video, threads)
            start = time.perf_counter()
            with worker(command) as process:
                heard(process)
                seconds = time.perf_counter() - start
                process.terminate()
            if number >= 0:
                taken[one].append(seconds)
    return taken


def demo_command(one: DemoCase, models: Path, video: Path, threads: int) -> list[str]:
    """`edgekit demo` itself, with a line of JSON a frame on its standard output."""
    path, _, fit = one.model.rpartition("@")
    compute = usual_compute(one.engine)
    return [
        sys.executable, "-m", "edgekit", "demo", str(models / path), "--source", str(video),
        "--display", "none", "--detections", "-", "--fit", fit, "--quiet",
        "--target", f"{one.engine}:cpu", "--compute", compute, "--threads", str(threads),
    ]  # fmt: skip


def make_video(target: Path) -> Path:
    """A video of our own scenes, 1280x720, 30 frames a second: a window that wanders over one."""
    import av

    from edgekit.export.builtin.scenes.scene import draw_scene

    wide = draw_scene(7, (1080, 1920)).image
    target.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "fast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(150):
            top = round(180 * (1 + math.sin(number / 25)))
            left = round(320 * (1 + math.sin(number / 40)))
            picture = np.ascontiguousarray(wide[top : top + 720, left : left + 1280])
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target


def chosen_video(given: Path | None) -> Path:
    """The video asked for, the real one where there is one, else one that is made."""
    if given is not None:
        return given.absolute()
    data = Path(os.environ.get("EDGEKIT_REALDATA", ROOT.parent / "shared" / "data"))
    if (data / REAL_VIDEO).is_file():
        return data / REAL_VIDEO
    made = BUILD / "scenes.mp4"
    return made if made.is_file() else make_video(made)


def make_models(video: Path) -> tuple[Path, dict[str, Any]]:
    """The folder of models for a video, made where it is not there, and what was done."""
    folder = BUILD / f"models-{video.stem}"
    if not (folder / "facts.json").is_file():
        print("exporting the models …", file=sys.stderr)
        command = [peer_python(), HERE / "demo_models.py", video, "-o", folder]
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command, env=settings(), cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"The models could not be made:\n{done.stderr[-2000:]}")
    return folder, json.loads((folder / "facts.json").read_text())


def rates_table(taken: dict[DemoCase, Turns]) -> str:
    """The contestants of a group as Markdown."""
    lines = [
        "| contestant | frames/s | best | processors | CPU ms a frame | boxes a frame | load |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one, turns in taken.items():
        # What a busy machine disturbs least.
        work = 1000 * np.median(np.asarray(turns.cores) / np.asarray(turns.rates))
        ran = f" ({turns.runs})" if turns.runs else ""
        lines.append(
            f"| {one.name}{ran} | {turns.rate:.1f} | {max(turns.rates):.1f} | "
            f"{np.median(turns.cores):.2f} | {work:.1f} | {np.mean(turns.boxes):.1f} | "
            f"{np.median(turns.load):.1f} |"
        )
    return "\n".join(lines)


def ratios_table(results: Sequence[tuple[str, Result]]) -> str:
    """The ratios as Markdown."""
    lines = [
        "| group | against | ratio | 95 % interval | goal | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for group, result in results:
        ends = f"{result.low:.3f}–{result.high:.3f}" if result.low and result.high else "–"
        goal = "–" if result.pair.goal is None else f"≥ {result.pair.goal:g}"
        lines.append(
            f"| {group} | {result.pair.what} | {result.ratio:.3f} | {ends} | {goal} | "
            f"{result.verdict} |"
        )
    return "\n".join(lines)


def cold_table(taken: dict[DemoCase, list[float]]) -> str:
    """The cold starts as Markdown."""
    lines = ["| first answer of | median s | least | most |", "| --- | --- | --- | --- |"]
    for one, seconds in taken.items():
        lines.append(
            f"| {one.name} | {np.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and say whether a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="default: the real one, else one that is made")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cold-rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--only", default="", help="groups with this in their name; or cold")
    parser.add_argument("-o", "--output-path", type=Path, help="every turn, as JSON")
    given = parser.parse_args(arguments)
    on_processors(given.threads)
    video = chosen_video(given.video)
    models, facts = make_models(video)
    own = "{}x{}".format(*facts["own"])
    width, height = facts["video"]
    print(f"{video.name}, {width}x{height}; own shape {own}; {given.threads} processors; ", end="")
    print(f"{facts['boxes']:g} boxes in the median frame\n")
    results: list[tuple[str, Result]] = []
    failed = False
    kept: dict[str, Any] = {"video": video.name, **facts, "threads": given.threads, "turns": {}}
    for group, pairs in groups(own).items():
        if given.only not in group:
            continue
        taken = play(pairs, models, video, given.threads, given.rounds)
        print(f"{group}\n\n{rates_table(taken)}\n", flush=True)
        for sentence in different_boxes(taken):
            failed = True
            print(sentence, flush=True)
        results += [(group, one) for one in judge(pairs, taken)]
        kept["turns"][group] = {one.name: asdict(turns) for one, turns in taken.items()}
        _keep(given.output_path, kept)
    if results:
        print(f"{ratios_table(results)}\n", flush=True)
    failed |= any(one.verdict == "FAIL" for _, one in results)
    if given.only in "cold":
        starts = cold_starts(models, video, given.threads, given.cold_rounds)
        print(cold_table(starts))
        kept["cold_s"] = {one.name: seconds for one, seconds in starts.items()}
        for one, seconds in starts.items():
            failed |= one.kind == "edgekit" and float(np.median(seconds)) > COLD_LIMIT_S
        _keep(given.output_path, kept)
    return int(failed)


def _keep(path: Path | None, kept: dict[str, Any]) -> None:
    """Write what there is so far; a run takes a quarter of an hour."""
    if path is not None:
        path.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    sys.exit(main())

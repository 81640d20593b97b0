"""One contestant of `make bench-demo`: a process that answers the frames of a video on command.

    python tools/peers/demo_worker.py KIND MODEL VIDEO [--engine NAME] [--threads N] [--first]

It writes a line of JSON when its model is loaded, then one for every line that it reads:
`{"frames": N, "skip": S}` plays the video from its beginning, lets S answers pass until whatever
overlaps does so, and times the N answers that follow. With `--first` it ends with its first answer.

KIND is `ultralytics` (its streaming prediction; MODEL is a .pt, an .onnx or an OpenVINO folder),
`hand` (the loop in demo_hand_loop.py), `bare` (the same inference over and over) or `edgekit`.
Nothing heavy is imported before it is needed: with `--first`, imports are what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

# An answer is the number of boxes in a frame; 0 where there are none to count.
Play = Callable[[], Iterator[int]]


def ultralytics(model: str, video: str, _engine: str, _threads: int) -> tuple[Play, dict[str, Any]]:
    """Ultralytics' `predict(stream=True)`, with its own defaults.

    It has no option for threads: the processor affinity that this process was given bounds them.
    """
    from ultralytics import YOLO

    network = YOLO(model, task="detect")

    def play() -> Iterator[int]:
        for result in network.predict(source=video, stream=True, verbose=False, save=False):
            yield len(result.boxes)

    return play, {}


def hand(model: str, video: str, engine: str, threads: int) -> tuple[Play, dict[str, Any]]:
    """The hand-written threaded loop."""
    import demo_hand_loop

    infer, shape = getattr(demo_hand_loop, f"open_{engine}")(model, threads)

    def play() -> Iterator[int]:
        for found in demo_hand_loop.detections(infer, shape, video):
            yield len(found)

    return play, {"shape": list(shape)}


def bare(model: str, video: str, engine: str, threads: int) -> tuple[Play, dict[str, Any]]:
    """The engine alone, on one letterboxed frame, by its fastest call."""
    import cv2
    import demo_hand_loop

    done, frame = cv2.VideoCapture(video).read()
    assert done, video
    run, shape = (_bare_openvino if engine == "openvino" else _bare_onnxruntime)(
        model, threads, lambda shape: demo_hand_loop.letterbox(frame, shape)[0]
    )

    def play() -> Iterator[int]:
        while True:
            run()
            yield 0

    return play, {"shape": list(shape)}


def _bare_onnxruntime(
    model: str, threads: int, blob: Callable[[tuple[int, int]], Any]
) -> tuple[Callable[[], object], tuple[int, int]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = given.shape[2], given.shape[3]
    binding = session.io_binding()
    binding.bind_cpu_input(given.name, blob(shape))
    binding.bind_output(session.get_outputs()[0].name)
    return lambda: session.run_with_iobinding(binding), shape


def _bare_openvino(
    model: str, threads: int, blob: Callable[[tuple[int, int]], Any]
) -> tuple[Callable[[], object], tuple[int, int]]:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    shape = tuple(compiled.input().shape)[2:]
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(blob(shape)))
    return lambda: request.infer(share_outputs=True), shape


def edgekit(model: str, video: str, engine: str, threads: int) -> tuple[Play, dict[str, Any]]:
    """Edgekit's pipeline over every frame of a file, as `edgekit demo --every-frame` puts it up.

    MODEL is the graph with `@model` or `@stream` behind it: which shape is asked for.
    """
    from edgekit.core.progress import Silent
    from edgekit.jobs.opening.live import live_model

    path, _, fit = model.rpartition("@")
    granted = _size(video)
    opened = live_model(
        path,
        stream=granted,
        fit=fit,  # type: ignore[arg-type]
        target=None if engine == "default" else f"{engine}:cpu",
        compute=None if engine == "default" else usual_compute(engine),
        threads=threads,
        every_frame=True,
        progress=Silent(),
    )

    def play() -> Iterator[int]:
        return _answers(opened, video)

    facts = {"shape": list(opened.shape), "runs": f"{opened.target} {opened.compute}"}
    return play, facts


def usual_compute(engine: str) -> str:
    """The precision that an engine takes for a float graph on this machine, if nobody asks."""
    if engine != "openvino":
        return "fp32"
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in able else "fp32"


def _size(video: str) -> tuple[int, int]:
    """Width and height of a video, pixels."""
    import cv2

    capture = cv2.VideoCapture(video)
    wide, high = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
    return int(capture.get(wide)), int(capture.get(high))


def _answers(opened: Any, video: str) -> Iterator[int]:
    """Source, slot and runner, with a queue in the place of the outputs."""
    from edgekit.demo.sources import demo_source
    from edgekit.pipeline.frame import Frame, FrameRequest
    from edgekit.pipeline.grabber import Grabber
    from edgekit.pipeline.slot import ShortQueue
    from edgekit.pipeline.states import StateLog

    frames: ShortQueue[Frame] = ShortQueue(2)
    answers: ShortQueue[int] = ShortQueue(2)
    grabber = Grabber(demo_source(video, FrameRequest(), every_frame=True), frames, StateLog())
    runner = opened.runner(
        frames, lambda answer: answers.put(len(answer.result.scores)), every_frame=True
    )
    grabber.start()
    runner.start()
    try:
        while not (runner.finished.is_set() and runner.join()):
            found = answers.take(0.05)
            if found is not None:
                yield found
    finally:
        answers.close()
        grabber.stop()
        runner.stop()


KINDS = {"ultralytics": ultralytics, "hand": hand, "bare": bare, "edgekit": edgekit}


def turn(play: Play, frames: int, skip: int) -> dict[str, Any]:
    """Time `frames` answers after `skip` of them, from answer to answer; count their boxes."""
    answers = play()
    boxes: list[int] = []
    start = cpu = 0.0
    try:
        for number in range(skip + frames):
            found = next(answers)
            if number >= skip:
                boxes.append(found)
            if number == skip - 1:
                start, cpu = time.perf_counter(), time.process_time()
        seconds = time.perf_counter() - start
        cpu = time.process_time() - cpu
    except StopIteration:
        raise SystemExit(f"The video has fewer than {skip + frames} frames.") from None
    finally:
        close = getattr(answers, "close", None)
        if close is not None:
            close()
    return {"frames": frames, "seconds": seconds, "cpu_seconds": cpu, "boxes": boxes}


def main() -> int:
    """Serve turns until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=tuple(KINDS))
    parser.add_argument("model")
    parser.add_argument("video")
    parser.add_argument("--engine", default="")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--first", action="store_true")
    given = parser.parse_args()
    # What libraries print must not get between the answers.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**facts: Any) -> None:
        out.write(json.dumps(facts) + "\n")

    play, facts = KINDS[given.kind](given.model, given.video, given.engine, given.threads)
    if given.first:
        say(boxes=next(play()))
        out.flush()
        # Taking libraries down is not part of a first answer.
        os._exit(0)
    say(ready=True, **facts)
    for line in sys.stdin:
        order = json.loads(line)
        say(**turn(play, order["frames"], order["skip"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())

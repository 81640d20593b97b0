"""The loop that a good engineer writes by hand: what edgekit's pipeline has to be as fast as.

Three threads: one reads and letterboxes, one infers, one decodes and suppresses; queues of two hold
them together. Preprocessing is OpenCV's blobFromImage, decoding touches only the anchors above the
threshold, suppression is OpenCV's, by class.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator

import cv2
import numpy as np

CONFIDENCE, IOU = 0.25, 0.7
END = None
Infer = Callable[[np.ndarray], np.ndarray]


def open_onnxruntime(path: str, threads: int) -> tuple[Infer, tuple[int, int]]:
    """Open an ONNX file; return what runs it and its (H, W)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    return lambda blob: session.run(None, {name: blob})[0], (shape[2], shape[3])


def open_openvino(path: str, threads: int) -> tuple[Infer, tuple[int, int]]:
    """Open an OpenVINO model at the engine's own default precision; as `open_onnxruntime`."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    model = openvino.Core().compile_model(path, "CPU", settings)
    request = model.create_infer_request()
    height, width = list(model.input().shape)[2:]

    def infer(blob: np.ndarray) -> np.ndarray:
        # The answer is copied out, because the next inference writes over it.
        return request.infer([blob], share_inputs=True)[0]

    return infer, (height, width)


def letterbox(image: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, float, int, int]:
    """Return the blob (1, 3, H, W), its scale and what was padded left and above, pixels."""
    height, width = image.shape[:2]
    scale = min(shape[0] / height, shape[1] / width)
    inner = round(width * scale), round(height * scale)
    left, top = (shape[1] - inner[0]) // 2, (shape[0] - inner[1]) // 2
    small = cv2.resize(image, inner)
    canvas = cv2.copyMakeBorder(
        small, top, shape[0] - inner[1] - top, left, shape[1] - inner[0] - left,
        cv2.BORDER_CONSTANT, value=(114, 114, 114),
    )  # fmt: skip
    return cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True), scale, left, top


def decode(output: np.ndarray, scale: float, left: int, top: int) -> np.ndarray:
    """Read (1, 84, N) into (n, 6): xyxy in pixels of the frame, score, class."""
    scores = output[0, 4:]
    best = scores.max(axis=0)
    above = np.flatnonzero(best > CONFIDENCE)
    best, classes = best[above], scores[:, above].argmax(axis=0)
    x, y, width, height = output[0, :4, above].T
    boxes = np.stack([x - width / 2, y - height / 2, width, height], axis=1)
    kept = cv2.dnn.NMSBoxesBatched(boxes, best, classes.astype(np.int32), CONFIDENCE, IOU)
    boxes = boxes[kept].reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes = (boxes - (left, top, left, top)) / scale
    return np.column_stack([boxes, best[kept].reshape(-1), classes[kept].reshape(-1)])


def detections(infer: Infer, shape: tuple[int, int], video: str) -> Iterator[np.ndarray]:
    """Yield the detections of every frame of a video, in order."""
    ready: queue.Queue = queue.Queue(2)
    inferred: queue.Queue = queue.Queue(2)
    answers: queue.Queue = queue.Queue(2)
    stopped = threading.Event()

    def put(target: queue.Queue, item: object) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                target.put(item, timeout=0.1)
                return

    def read() -> None:
        capture = cv2.VideoCapture(video)
        while not stopped.is_set():
            done, frame = capture.read()
            if not done:
                break
            put(ready, letterbox(frame, shape))
        put(ready, END)

    def run() -> None:
        while not stopped.is_set() and (item := ready.get()) is not END:
            put(inferred, (infer(item[0]), *item[1:]))
        put(inferred, END)

    def finish() -> None:
        while not stopped.is_set() and (item := inferred.get()) is not END:
            put(answers, decode(*item))
        put(answers, END)

    threads = [threading.Thread(target=one, daemon=True) for one in (read, run, finish)]
    for thread in threads:
        thread.start()
    try:
        while (answer := answers.get()) is not END:
            yield answer
    finally:
        stopped.set()
        for source in (ready, inferred):
            with contextlib.suppress(queue.Full):
                source.put_nowait(END)
        for thread in threads:
            thread.join(2)

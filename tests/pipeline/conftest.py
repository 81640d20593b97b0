"""Sources of frames: made-up ones, real files, real servers; an engine that waits for the test."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Semaphore, Thread

import numpy as np
import pytest

from edgekit.core.runtime import TensorInfo
from edgekit.pipeline.frame import Frame
from edgekit.pipeline.slot import Closed, NewestSlot
from edgekit.pipeline.states import StateLog
from edgekit.tasks.results import Raw
from edgekit.tasks.task import Fit


@dataclass(frozen=True)
class Taken:
    """A frame as it came: its picture's own time stamp is read by `stamp_ms`."""

    frame: object
    taken_ns: int

    @property
    def age_ms(self):
        """By what the source says."""
        return (self.taken_ns - self.frame.captured_ns) / 1e6

    @property
    def made_ns(self):
        """When the RTSP server made the picture, read from its blocks."""
        grey = self.frame.pixels[:, :, 1]
        height, width = grey.shape
        stamp = 0
        for bit in range(24):
            row, column = divmod(bit, 6)
            block = grey[
                row * (height // 4) + height // 16 : (row + 1) * (height // 4) - height // 16,
                column * (width // 6) + width // 24 : (column + 1) * (width // 6) - width // 24,
            ]
            stamp |= int(block.mean() > 128) << bit
        # Of the milliseconds 24 bits are there, 4.6 hours; the rest is ours.
        now = self.taken_ns // 1_000_000
        return (now - ((now - stamp) & 0xFFFFFF)) * 1_000_000


class Taker:
    """Takes all frames of a slot in a thread, as a model would."""

    def __init__(self, slot=None):
        self.slot = NewestSlot() if slot is None else slot
        self.taken = []
        self.closed = Event()
        self.thread = Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                frame = self.slot.take()
                self.taken.append(Taken(frame, time.perf_counter_ns()))
        except Closed:
            self.closed.set()

    @property
    def frames(self):
        return [taken.frame for taken in self.taken]

    @property
    def numbers(self):
        return [taken.frame.number for taken in self.taken]


@pytest.fixture
def taker():
    """What takes frames out of a newest-frame slot."""
    taker = Taker()
    yield taker
    taker.slot.close()
    taker.thread.join(10)


@pytest.fixture
def states(wait_until):
    """A record of states, with `names` and `wait`."""

    class States(StateLog):
        @property
        def names(self):
            return [event.state for event in self.events]

        def wait(self, state, count=1):
            wait_until(lambda: self.names.count(state) >= count, f"{state} number {count}")

    return States()


@pytest.fixture
def video(tmp_path):
    """Write a video whose frame i has the brightness 20 + 5 i (mod 256), and return its path."""
    av = pytest.importorskip("av")

    def write(name="video.mp4", *, frames=20, rate=20, size=(64, 48), codec="mpeg4"):
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.options = {"qmin": "1", "qmax": "1"}
            for index in range(frames):
                pixels = np.full((size[1], size[0], 3), (20 + 5 * index) % 256, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def picture(tmp_path):
    """Write a PNG of one brightness and return its path."""
    import cv2

    def write(name, brightness=100, size=(16, 12)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), np.full((size[1], size[0], 3), brightness, np.uint8))
        return path

    return write


@pytest.fixture
def free_port():
    """A port that nobody has; a moment ago, that is."""

    def find():
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return one.getsockname()[1]

    return find


@pytest.fixture
def processes():
    """Start child processes; they are killed at the end, frozen ones too."""
    started = []

    def start(*command, **keys):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, **keys
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def http_stream(tool, processes, free_port, wait_until):
    """Serve a moving test picture over HTTP by ffmpeg, to one client; gives process and address."""
    ffmpeg = tool("ffmpeg")

    def serve(*, seconds=60.0, form="mpegts", codec="libx264", rate=20, size="160x120"):
        port = free_port()
        coding = ["-tune", "zerolatency", "-g", "10"] if codec == "libx264" else []
        process = processes(
            *(ffmpeg, "-hide_banner", "-loglevel", "quiet", "-re", "-f", "lavfi"),
            *("-i", f"testsrc2=s={size}:r={rate}", "-t", str(seconds), "-c:v", codec, *coding),
            *("-f", form, "-listen", "1", f"http://127.0.0.1:{port}/stream"),
        )
        # Not by connecting: ffmpeg takes one client.
        entry = f":{port:04X} 00000000:0000 0A"
        wait_until(lambda: entry in Path("/proc/net/tcp").read_text(), f"port {port}")
        return process, f"http://127.0.0.1:{port}/stream"

    return serve


class RtspServer:
    """A real server in a child process, that can be frozen, continued, killed, started again."""

    def __init__(self, python, processes):
        self._python = python
        self._processes = processes
        self.port = 0
        self.process = None

    def start(self, width, height):
        script = Path(__file__).parent / "rtsp_server.py"
        # The system's Python has the bindings: nothing of the virtual environment may reach it.
        self.process = self._processes(
            *(self._python, str(script), str(self.port), str(width), str(height)),
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp"},
        )
        words = self.process.stdout.readline().split()
        assert words[:1] == ["ready"], "the RTSP server did not start"
        self.port = int(words[1])
        return self

    @property
    def address(self):
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def rtsp(tool, processes):
    """An RTSP server at 320x240, 20 frames a second."""
    return RtspServer(tool("/usr/bin/python3"), processes).start(320, 240)


class Relay:
    """Passes TCP on to a port; while it is held, what comes is kept, as a bad network does."""

    def __init__(self, port):
        self._target = port
        self._open = Event()
        self._open.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.port = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self._open.clear()

    def release(self):
        self._open.set()

    def close(self):
        self._open.set()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                Thread(target=self._pass, args=(client, server), daemon=True).start()
                Thread(target=self._pass, args=(server, client), daemon=True).start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)


@pytest.fixture
def relay():
    """Put a relay before a port."""
    relays = []

    def make(port):
        relays.append(Relay(port))
        return relays[-1]

    yield make
    for one in relays:
        one.close()


class Binding:
    def __init__(self, session, feeds):
        self._session = session
        self.inputs = {name: array.copy() for name, array in feeds.items()}
        self.outputs = {"y": np.zeros((len(self.inputs["x"]), 1), np.int64)}

    def run(self):
        assert self._session.idle.acquire(blocking=False), "two inferences at once"
        self._session.inferring()
        self.outputs["y"][:, 0] = self.inputs["x"][:, 0, 0, 0]
        self._session.idle.release()


class Session:
    """Doubles as an engine; `inferring` is called within every run."""

    def __init__(self, inferring=lambda: None, batch="batch"):
        self.inputs = (TensorInfo("x", "uint8", (batch, 1, 1, 1)),)
        self.outputs = (TensorInfo("y", "int64", (batch, 1)),)
        self.inferring = inferring
        self.idle = Semaphore()
        self.bindings = []

    def bind(self, feeds):
        self.bindings.append(Binding(self, feeds))
        return self.bindings[-1]


class Task:
    """Lays the first byte of a picture, and answers with what the network saw."""

    def __init__(self, laying=lambda: None, reading=lambda: None):
        self.laying = laying
        self.reading = reading

    def preprocess(self, image, out=None):
        laid = np.array(image[:1, :1, :1]).reshape(1, 1, 1, 1) if out is None else out
        if out is not None:
            self.laying()
            out[:] = image[0, 0, 0]
        return laid, Fit(image.shape[:2], (1, 1), 1.0, 1.0, 0.0, 0.0)

    def postprocess(self, outputs, fit, confidence=None):
        self.reading()
        return Raw({"y": outputs["y"].copy(), "confidence": np.array(confidence)})


@pytest.fixture
def frame():
    """Make a frame whose first byte is its number (mod 256)."""

    def make(number, shape=(2, 2), captured_ns=0):
        return Frame(np.full((*shape, 3), number % 256, np.uint8), number, captured_ns)

    return make


@pytest.fixture
def gate():
    """Make a call that waits until it is opened, and counts entries."""

    class Gate:
        def __init__(self):
            self.entered = Semaphore(0)
            self._open = Event()

        def __call__(self):
            self.entered.release()
            assert self._open.wait(120)

        def open(self):
            self._open.set()

    gates = []

    def make():
        gates.append(Gate())
        return gates[-1]

    yield make
    for each in gates:
        each.open()


@pytest.fixture
def engine():
    """The class of the fake engine."""
    return Session


@pytest.fixture
def plain_task():
    """The class of the fake task."""
    return Task

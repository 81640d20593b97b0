"""A real window on a real display: what it shows, what keys do, how it ends."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import numpy as np
import pytest

from edgekit.demo.display import no_window

# What a demo does, in small: frames of one colour at 30 a second from a thread, the window in the
# main one. A word on stdin changes what happens; at the end it says what was counted.
PROGRAM = textwrap.dedent("""
    import json, os, sys, threading, time
    from pathlib import Path
    import numpy as np
    from PIL import ImageGrab
    from edgekit.core.documents import (
        DemoDocument, DemoEvent, DemoRates, DemoSource, Distribution
    )
    from edgekit.demo.controls import Controls
    from edgekit.demo.output import AnsweredFrame
    from edgekit.demo.window import Window, no_window
    from edgekit.pipeline.answer import Answer
    from edgekit.pipeline.frame import Frame

    class Meter:
        state, ages, stages, notes, stale = "live", [], [], [], 0
        def shown(self, captured_ns, shown_ns):
            # What is said to be shown is on the display by now.
            corner = ImageGrab.grab(bbox=(30, 30, 31, 31), xdisplay=os.environ["DISPLAY"])
            self.stale += corner.convert("RGB").getpixel((0, 0))[1] != levels[captured_ns]
            if not self.ages:
                print("shown", flush=True)
            self.ages.append((shown_ns - captured_ns) / 1e6)
        def stage(self, name, nanoseconds): self.stages.append(name)
        def note(self, sentence): self.notes.append(sentence)
        def document(self):
            none = Distribution(n=0)
            return DemoDocument(
                model="m", task="detection", target="null:cpu", variant="fp32", compute="fp32",
                shape=(1, 1), source=DemoSource(name="camera", state=self.state), seconds=1,
                fps=30, rates=DemoRates(camera=30, inference=30, shown=30), frames=1, captured=1,
                dropped=0, not_shown=0, stages={}, frame_age_ms=none, shown_age_ms=none,
                detections=0, events=(DemoEvent(at_s=1, state=self.state, reason="No frame."),),
            )

    assert no_window() is None, no_window()
    size = json.loads(sys.argv[2])
    pictures = [np.full((*size, 3), (0, green, 0), np.uint8) for green in (156, 160, 164)]
    levels = {}
    meter, controls, flowing = Meter(), Controls(("cat",)), threading.Event()
    window = Window(controls, meter, snapshots=Path(sys.argv[1]))
    flowing.set()

    def feed():
        number = 0
        while not controls.stopped.is_set():
            time.sleep(1 / 30)
            if flowing.is_set() and window.wants_picture:
                picture = pictures[number % 3]
                frame = Frame(picture, number, time.perf_counter_ns())
                levels[frame.captured_ns] = int(picture[0, 0, 1])
                window.show(AnsweredFrame(Answer(frame, None), None, picture))
                number += 1

    def listen():
        for line in sys.stdin:
            if line.strip() == "close":
                window.close()
            else:
                flowing.clear()
                time.sleep(0.1)
                meter.state = line.strip()

    for work in (feed, listen):
        threading.Thread(target=work, daemon=True).start()
    window.run()
    controls.stop()
    print(json.dumps({
        "confidence": controls.setting.confidence, "stages": sorted(set(meter.stages)),
        "age": float(np.median(meter.ages)), "shown": len(meter.ages), "notes": meter.notes,
        "stale": meter.stale,
    }), flush=True)
""")


@pytest.fixture(scope="module")
def display(tool):
    """A display of the tests' own, 1000 by 700 pixels."""
    pytest.importorskip("PIL.ImageGrab", reason="no Pillow on this machine")
    command = [tool("Xvfb"), "-screen", "0", "1000x700x24", "-noreset", "-nolisten", "tcp"]
    reading, writing = os.pipe()
    command += ["-displayfd", str(writing)]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as line:
        number = line.readline().strip()
    if not number:
        pytest.skip("Xvfb does not start")
    yield f":{number}"
    server.terminate()
    server.wait()


class Demo:
    """The program in a window of its own."""

    def __init__(self, tool, display, folder, size=(360, 640)):
        self.program = tool("xdotool")
        self.display = display
        self.environment = {**os.environ, "DISPLAY": display}
        self.environment.pop("WAYLAND_DISPLAY", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), json.dumps(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self.process.stdout.readline() == "shown\n", self.process.stderr.read()

    def xdotool(self, *words):
        command = [self.program, *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def window(self):
        return self.xdotool("search", "--sync", "--onlyvisible", "--name", "edgekit demo")

    def press(self, *keys):
        for key in keys:
            self.xdotool("key", "--window", self.window, key)
            time.sleep(0.15)

    def say(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def picture(self):
        from PIL import ImageGrab

        return np.asarray(ImageGrab.grab(xdisplay=self.display).convert("RGB"))

    def until(self, holds):
        """Look until the picture is right; fail with its mean colour."""
        # As long as a busy machine may take to start a program and open a window.
        deadline = time.monotonic() + 60
        while not holds(picture := self.picture()):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, picture.mean(axis=(0, 1))
            time.sleep(0.05)
        return picture

    def end(self):
        out, error = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, error
        assert error == ""
        return json.loads(out)


@pytest.fixture
def demo(tool, display, tmp_path):
    made = Demo(tool, display, tmp_path)
    yield made
    with suppress(OSError):
        made.process.kill()
    made.process.communicate()


def ask_to_close(display, window):
    """What a window manager sends when somebody clicks on the cross."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    server = ctypes.c_void_p(x.XOpenDisplay(display.encode()))
    protocols, deletion = (
        x.XInternAtom(server, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    client_message, longs = 33, 32
    # XClientMessageEvent: type, serial, send_event, display, window, message_type, format, data.
    event = (ctypes.c_long * 24)(client_message, 0, 1, 0, window, protocols, longs, deletion, 0)
    x.XSendEvent(server, ctypes.c_ulong(window), 0, ctypes.c_long(0), event)
    x.XCloseDisplay(server)


def is_green(picture):
    # The head-up lines stand in the lower left corner.
    part = picture[20:200, 20:600].astype(int)
    return (np.abs(part - (0, 160, 0)).max(axis=-1) < 8).mean() > 0.99


def test_what_is_said_to_be_shown_is_on_the_display_and_keys_change_the_threshold(demo, tmp_path):
    demo.until(is_green)
    demo.press("plus", "minus", "plus")
    demo.press("5", "minus")
    demo.press("s")
    demo.press("q")
    said = demo.end()
    assert said["confidence"] == 0.45
    assert said["stages"] == ["show"]
    assert said["shown"] > 10
    assert said["stale"] == 0
    # Of this window's frames: no clock's zero, no other clock.
    assert 0 < said["age"] < 60_000
    (saved,) = tmp_path.glob("edgekit-*.png")
    import cv2

    assert cv2.imread(str(saved)).shape == (360, 640, 3)
    assert np.abs(cv2.imread(str(saved)).astype(int) - (0, 160, 0)).max() <= 4


def test_a_source_that_stalls_leaves_a_dim_picture_with_the_state_across(demo):
    demo.until(is_green)
    demo.say("stalled")

    def dim_with_words(picture):
        part = picture[10:350, 10:630].astype(int)
        dark = (np.abs(part - (0, 56, 0)).max(axis=-1) < 8).mean()
        return dark > 0.5 and part[..., 0].max() > 200

    demo.until(dim_with_words)
    demo.say("close")
    demo.end()


def test_space_freezes_what_is_shown_and_nothing_else(demo, wait_until):
    demo.until(is_green)
    demo.press("space")

    def frozen():
        # Every frame has one of three greens.
        pictures = []
        for _ in range(20):
            pictures.append(demo.picture()[20:200, 20:600])
            time.sleep(0.05)
        return all(np.array_equal(pictures[0], one) for one in pictures)

    wait_until(frozen, "the same picture twenty times")
    demo.press("Escape")
    demo.end()


def test_the_closing_cross_ends_the_demo(demo):
    demo.until(is_green)
    ask_to_close(demo.display, int(demo.window))
    demo.end()


def test_a_frame_larger_than_the_display_is_made_small_and_keeps_its_shape(tool, display, tmp_path):
    demo = Demo(tool, display, tmp_path, (2160, 3840))
    try:
        demo.until(is_green)
        demo.xdotool("windowsize", demo.window, "600", "600")
        # Bars above and below.
        picture = demo.until(lambda picture: picture[20, 300, 1] < 100)
        rows = np.nonzero(picture[:600, 550, 1] > 120)[0]
        assert len(rows) == pytest.approx(600 * 9 / 16, abs=6)
        demo.press("q")
        demo.end()
    finally:
        with suppress(OSError):
            demo.process.kill()
        demo.process.communicate()


@pytest.mark.slow
def test_on_a_busy_machine_every_window_is_painted(tool, display, tmp_path):
    # Where libX11 takes events that Qt waits for, every second window stays black here.
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        for _ in range(12):
            demo = Demo(tool, display, tmp_path)
            demo.until(is_green)
            demo.press("q")
            demo.end()
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="displays of Linux")
def test_qt_tells_libx11_whose_the_events_are_by_the_library_that_belongs_to_it(display):
    found = f"{ASK}; import ctypes; ctypes.CDLL(None).XSetEventQueueOwner"
    kept = {**os.environ, "DISPLAY": display, "WAYLAND_DISPLAY": ""}
    done = subprocess.run([sys.executable, "-c", found], env=kept, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


ASK = "from edgekit.demo.display import no_window; print(no_window())"


def reason(**environment):
    """What a fresh process says: Qt reads its environment once."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        environment.setdefault(name, "")
    kept = {name: value for name, value in {**os.environ, **environment}.items() if value}
    done = subprocess.run([sys.executable, "-c", ASK], env=kept, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="displays of Linux")
def test_why_there_is_no_window_is_known_without_opening_one(display):
    assert reason(DISPLAY=display) == "None"
    assert reason() == ("There is no window: this session has no display (DISPLAY is not set).")
    assert "need X11" in reason(WAYLAND_DISPLAY="wayland-0")
    assert "display :4711 takes no connection" in reason(DISPLAY=":4711")
    assert "no platform 'nonesuch'" in reason(DISPLAY=display, QT_QPA_PLATFORM="nonesuch")


def test_an_opencv_without_windows_is_named(monkeypatch):
    monkeypatch.setattr("cv2.currentUIFramework", lambda: "")
    assert "opencv-python-headless" in no_window()

"""A camera, with OpenCV's capture replaced: no camera can be made here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from edgekit.core.errors import Unavailable
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.pipeline.sources import camera as camera_module
from edgekit.pipeline.sources import devices as devices_module
from edgekit.pipeline.sources.camera import Camera
from edgekit.pipeline.sources.devices import devices, used_by

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Video4Linux is Linux's")


class Capture:
    """What cv2.VideoCapture does: grants 640x480 at most, and a stamp of the monotonic clock."""

    opens = True
    grabs = True
    pixels = np.zeros((480, 640, 3), np.uint8)
    stamp_ms = None
    made: ClassVar[list[Capture]] = []

    def __init__(self, source, backend):
        self.source, self.backend = source, backend
        self.asked = []
        self.released = False
        Capture.made.append(self)

    def isOpened(self):
        return self.opens

    def set(self, key, value):
        self.asked.append((key, value))
        return True

    def get(self, key):
        stamp = time.perf_counter_ns() / 1e6 - 20 if self.stamp_ms is None else self.stamp_ms
        return {
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
            cv2.CAP_PROP_POS_MSEC: stamp,
        }[key]

    def grab(self):
        return self.grabs

    def retrieve(self):
        return self.pixels is not None, None if self.pixels is None else self.pixels.copy()

    def release(self):
        self.released = True


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with /dev/video0 and /dev/video2, and nobody who uses them."""
    for name in ("dev", "names/video0", "proc"):
        (tmp_path / name).mkdir(parents=True)
    for number in (0, 2, 10):
        (tmp_path / "dev" / f"video{number}").touch()
    (tmp_path / "dev" / "videocodec").touch()
    (tmp_path / "names" / "video0" / "name").write_text("HD Webcam\n")
    monkeypatch.setattr(devices_module, "_DEVICES", tmp_path / "dev")
    monkeypatch.setattr(devices_module, "_NAMES", tmp_path / "names")
    monkeypatch.setattr(devices_module, "_PROCESSES", tmp_path / "proc")
    monkeypatch.setattr(cv2, "VideoCapture", type("Fresh", (Capture,), {}))
    monkeypatch.delenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", raising=False)
    monkeypatch.setattr(Capture, "made", [])
    yield tmp_path
    os.environ.pop("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", None)


def test_what_is_asked_and_what_is_granted(machine):
    camera = Camera(0, FrameRequest(size=(1920, 1080), rate=60))
    granted = camera.open()
    capture = Capture.made[0]
    assert (capture.source, capture.backend) == (0, cv2.CAP_V4L2)
    assert capture.asked[:4] == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1920),
        (cv2.CAP_PROP_FRAME_HEIGHT, 1080),
        (cv2.CAP_PROP_FPS, 60),
    ]
    assert capture.asked[4:] == [(cv2.CAP_PROP_BUFFERSIZE, 2)]
    assert (granted.width, granted.height, granted.rate) == (640, 480, 30.0)
    assert (granted.pixel_format, granted.backend) == ("MJPG", "V4L2")
    camera.close()
    camera.close()
    assert capture.released


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (FrameRequest(), None),
        (FrameRequest(size=(640, 480)), None),
        (FrameRequest(size=(640, 480), pixel_format="YUYV"), "YUYV"),
        (FrameRequest(size=(1280, 720), pixel_format="YUYV"), "YUYV"),
    ],
)
def test_a_format_is_asked_for_only_where_it_is_needed(machine, wanted, asked):
    Camera(0, wanted).open()
    formats = [value for key, value in Capture.made[0].asked if key == cv2.CAP_PROP_FOURCC]
    assert formats == ([] if asked is None else [cv2.VideoWriter.fourcc(*asked)])


def test_a_frame_carries_the_drivers_time_stamp(machine):
    camera = Camera(machine / "dev" / "video2")
    camera.open()
    begin_ns = time.perf_counter_ns()
    frames = [camera.read() for _ in range(3)]
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert Capture.made[0].source == str(machine / "dev" / "video2")
    for frame in frames:
        assert begin_ns - 25e6 < frame.captured_ns < time.perf_counter_ns() - 15e6
        assert 0 < frame.read_ns < 1e9


@pytest.mark.parametrize("stamp_ms", [0.0, -1.0, 1.8e12, 5.0])
def test_a_stamp_of_another_clock_is_not_believed(machine, monkeypatch, stamp_ms):
    monkeypatch.setattr(Capture, "stamp_ms", stamp_ms)
    monkeypatch.setattr(camera_module, "_IMPLAUSIBLE_NS", 1_000_000)
    camera = Camera(0)
    camera.open()
    begin_ns = time.perf_counter_ns()
    assert begin_ns <= camera.read().captured_ns <= time.perf_counter_ns()


def test_a_stamp_that_stands_still_is_not_believed(machine, monkeypatch):
    monkeypatch.setattr(Capture, "stamp_ms", time.perf_counter_ns() / 1e6)
    camera = Camera(0)
    camera.open()
    first, second = camera.read(), camera.read()
    assert second.captured_ns > first.captured_ns


def test_numbers_go_on_after_the_camera_was_away(machine):
    camera = Camera(0)
    camera.open()
    camera.read()
    camera.open()
    assert camera.read().number == 1
    assert Capture.made[0].released


def test_an_absent_camera_names_those_that_are_there(machine):
    with pytest.raises(Unavailable, match=r"There is no camera 1\.") as caught:
        Camera(1).open()
    there = [str(machine / "dev" / f"video{number}") for number in (0, 2, 10)]
    assert caught.value.hint == f"There is: {there[0]} (HD Webcam), {there[1]}, {there[2]}."
    assert not Capture.made


def test_a_machine_without_cameras_says_so(machine):
    for path in (machine / "dev").iterdir():
        path.unlink()
    with pytest.raises(Unavailable, match=r"no /dev/video\* here"):
        Camera(machine / "dev" / "video0").open()
    assert devices() == ()


def test_no_permission_names_the_group(machine, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Unavailable, match="usermod -aG video"):
        Camera(0).open()


def test_a_busy_camera_names_who_uses_it(machine, monkeypatch):
    monkeypatch.setattr(Capture, "opens", False)
    with pytest.raises(SourceLost, match="in use, or it is a device without pictures"):
        Camera(0).open()
    (machine / "proc" / "4711" / "fd").mkdir(parents=True)
    (machine / "proc" / "4711" / "comm").write_text("zoom\n")
    (machine / "proc" / "4711" / "fd" / "7").symlink_to(machine / "dev" / "video0")
    (machine / "proc" / "12").mkdir()
    with pytest.raises(SourceLost, match=r"video0 is in use by zoom \(4711\)\."):
        Camera(0).open()
    assert all(capture.released for capture in Capture.made)
    assert used_by(machine / "dev" / "video2") == ""


def test_an_unplugged_camera_is_lost_and_says_so(machine, monkeypatch):
    camera = Camera(0)
    camera.open()
    monkeypatch.setattr(Capture, "grabs", False)
    with pytest.raises(SourceLost, match="gave no frame in time"):
        camera.read()
    (machine / "dev" / "video0").unlink()
    with pytest.raises(SourceLost, match="was unplugged"):
        camera.read()


def test_a_picture_that_cannot_be_decoded_is_lost(machine, monkeypatch):
    camera = Camera(0)
    camera.open()
    monkeypatch.setattr(Capture, "pixels", None)
    with pytest.raises(SourceLost, match="cannot be decoded"):
        camera.read()


def test_a_grey_camera_gives_three_channels(machine, monkeypatch):
    monkeypatch.setattr(Capture, "pixels", np.full((480, 640), 7, np.uint8))
    camera = Camera(0)
    camera.open()
    pixels = camera.read().pixels
    assert pixels.shape == (480, 640, 3)
    assert (pixels == 7).all()


def test_a_read_is_bounded_by_whole_seconds(machine, monkeypatch):
    Camera(0, read_s=2.2).open()
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == "3"
    monkeypatch.setenv("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "7")
    Camera(0, read_s=2.2).open()
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == "7"


def test_an_interrupted_camera_ends(machine):
    camera = Camera(0)
    camera.open()
    camera.interrupt()
    with pytest.raises(SourceEnded):
        camera.read()


def test_a_real_file_that_is_no_camera_is_lost_and_opencv_says_nothing(tmp_path, capfd):
    path = tmp_path / "video0"
    path.touch()
    with pytest.raises(SourceLost, match="cannot be opened"):
        Camera(Path(path)).open()
    assert capfd.readouterr().err == ""

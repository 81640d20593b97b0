"""GStreamer pipelines, with OpenCV's capture replaced: its wheels have no GStreamer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekit.core.errors import BadInput, Unavailable
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.source import SourceLost
from edgekit.pipeline.sources.gstreamer import csi_pipeline
from edgekit.pipeline.sources.parse import frame_source


class Capture:
    opens = True
    frames = 2
    description = ""

    def __init__(self, description, backend):
        assert backend == cv2.CAP_GSTREAMER
        Capture.description = description
        self.left = self.frames

    def isOpened(self):
        return self.opens

    def get(self, key):
        return {cv2.CAP_PROP_FRAME_WIDTH: 8.0, cv2.CAP_PROP_FRAME_HEIGHT: 6.0}.get(key, 0.0)

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def retrieve(self):
        return True, np.zeros((6, 8, 3), np.uint8)

    def release(self):
        pass


@pytest.fixture
def built_with(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    monkeypatch.setattr(cv2.videoio_registry, "getBackends", lambda: [cv2.CAP_GSTREAMER])


def test_without_gstreamer_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "getBackends", lambda: [cv2.CAP_V4L2])
    with pytest.raises(Unavailable, match="csi:1 needs an OpenCV that was built with GStreamer"):
        frame_source("csi:1").open()


def test_frames_of_a_pipeline(built_with):
    source = frame_source("gst:videotestsrc")
    granted = source.open()
    assert (granted.width, granted.height, granted.rate, granted.backend) == (
        8,
        6,
        None,
        "GStreamer",
    )
    assert Capture.description.startswith("videotestsrc ! videoconvert ! video/x-raw,format=BGR !")
    assert Capture.description.endswith("appsink drop=true max-buffers=1 sync=false")
    assert [source.read().number for _ in range(2)] == [0, 1]
    with pytest.raises(SourceLost, match="gives no frames any more"):
        source.read()


def test_a_pipeline_with_its_own_sink_is_left_as_it_is(built_with):
    frame_source("gst:videotestsrc ! appsink").open()
    assert Capture.description == "videotestsrc ! appsink"


def test_a_pipeline_that_does_not_start_is_one_sentence(built_with, monkeypatch):
    monkeypatch.setattr(Capture, "opens", False)
    with pytest.raises(BadInput, match="GStreamer cannot start gst:nonsense") as caught:
        frame_source("gst:nonsense user-pw=hunter2").open()
    assert "hunter2" not in str(caught.value)


def test_a_jetsons_camera_is_asked_for_size_and_rate():
    pipeline = csi_pipeline(1, FrameRequest(size=(1920, 1080), rate=60))
    assert pipeline.startswith("nvarguscamerasrc sensor-id=1 ! ")
    assert "width=1920,height=1080,framerate=60/1" in pipeline

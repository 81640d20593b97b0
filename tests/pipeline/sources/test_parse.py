"""What a user may type as a source, and the sentence for what is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgekit.core.errors import BadInput
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.sources.camera import Camera
from edgekit.pipeline.sources.gstreamer import Pipeline
from edgekit.pipeline.sources.paced import PacedVideo
from edgekit.pipeline.sources.parse import frame_source
from edgekit.pipeline.sources.pictures import ImageFiles
from edgekit.pipeline.sources.stream import Stream
from edgekit.pipeline.sources.video import VideoFile


@pytest.mark.parametrize(
    ("text", "kind", "name", "live"),
    [
        ("0", Camera, "0", True),
        (" 12 ", Camera, "12", True),
        ("/dev/video3", Camera, "/dev/video3", True),
        ("/dev/v4l/by-id/usb-cam-index0", Camera, "/dev/v4l/by-id/usb-cam-index0", True),
        ("csi", Pipeline, "csi", True),
        ("csi:1", Pipeline, "csi:1", True),
        ("gst:videotestsrc", Pipeline, "gst:videotestsrc", True),
        ("rtsp://host/cam", Stream, "rtsp://host/cam", True),
        ("RTSPS://host:8554/cam", Stream, "RTSPS://host:8554/cam", True),
        ("http://host/x.mjpg", Stream, "http://host/x.mjpg", True),
        ("udp://@:5000", Stream, "udp://@:5000", True),
        ("tcp://10.0.0.1:5000", Stream, "tcp://10.0.0.1:5000", True),
    ],
)
def test_text_becomes_a_source(text, kind, name, live):
    source = frame_source(text)
    assert type(source) is kind
    assert source.name == name
    assert source.live is live


def test_files_and_folders(tmp_path, picture):
    movie = tmp_path / "a film.mp4"
    movie.write_bytes(b"no video yet")
    still = picture("pictures/1.png")
    for text, every_frame, kind in [
        (movie, False, PacedVideo),
        (movie, True, VideoFile),
        (movie.as_uri(), True, VideoFile),
        (still, False, ImageFiles),
        (still.parent, False, ImageFiles),
    ]:
        source = frame_source(str(text), every_frame=every_frame)
        assert type(source) is kind
        assert source.live is (kind is PacedVideo)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "The source is empty."),
        ("nothing.mp4", "nothing.mp4 does not exist"),
        ("-1", "-1 does not exist"),
        ("camera\0", "does not exist"),
        ("x" * 5000, "does not exist"),
        ("/dev/null", "neither a file nor a folder"),
        ("ftp://user:hunter2@host/x", r"ftp://\*\*\*@host/x is no stream"),
        ("rtp://host/x", "Did you mean 'rtsp'"),
        ("rtsp://", "names no host"),
        ("http://host:99999/x", "is no valid address"),
        ("http://[::1/x", "is no valid address"),
        ("gst:", "names no pipeline"),
        ("file://", "names no file"),
        ("file:///nowhere/x.mp4", "/nowhere/x.mp4 does not exist"),
    ],
)
def test_what_is_no_source_is_one_sentence(text, words):
    with pytest.raises(BadInput, match=words) as caught:
        frame_source(text)
    assert "hunter2" not in str(caught.value)


def test_a_folder_without_images_is_one_sentence(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadInput, match="holds no images"):
        frame_source(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "wanted", "words"),
    [
        ("rtsp://h/x", FrameRequest(size=(640, 480)), "cannot be asked for a size"),
        ("rtsp://h/x", FrameRequest(rate=5), "cannot be asked for a rate"),
        ("csi", FrameRequest(pixel_format="MJPG"), "cannot be asked for a pixel format"),
        ("gst:videotestsrc", FrameRequest(size=(640, 480)), "cannot be asked for a size"),
        ("{video}", FrameRequest(size=(640, 480)), "cannot be asked for a size"),
        ("{video}", FrameRequest(rate=-1), "A rate lies between"),
        ("0", FrameRequest(size=(0, 480)), "at least 1x1 pixels"),
        ("0", FrameRequest(rate=float("nan")), "A rate lies between"),
        ("0", FrameRequest(pixel_format="JPEG2"), "has four letters"),
        ("0", FrameRequest(pixel_format="ÄÖÜß"), "has four letters"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(tmp_path, text, wanted, words):
    movie = tmp_path / "a.mp4"
    movie.touch()
    with pytest.raises(BadInput, match=words):
        frame_source(text.replace("{video}", str(movie)), wanted)


def test_the_home_of_nobody_is_a_file_that_does_not_exist():
    with pytest.raises(BadInput, match="~nobody-of-that-name/a.mp4 does not exist"):
        frame_source("~nobody-of-that-name/a.mp4")


def test_every_frame_and_a_rate_contradict_each_other(tmp_path):
    movie = tmp_path / "a.mp4"
    movie.touch()
    with pytest.raises(BadInput, match="cannot be asked for a rate"):
        frame_source(str(movie), FrameRequest(rate=5), every_frame=True)


# A folder that is there ("/", "~") is searched for images, and may be as large as the disk.
@settings(deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"\A(csi|gst|rtsp|http|file|udp)(:|://).{0,30}\Z"))
def test_any_text_is_a_source_or_one_sentence(text):
    place = text.strip().removeprefix("file://")
    # Not Path.expanduser: it knows no answer for "~nobody".
    assume("\0" in place or not os.path.isdir(os.path.expanduser(place)))  # noqa: PTH111, PTH112
    try:
        source = frame_source(text)
    except BadInput:
        pass
    else:
        assert source.name
        known = source.name.isdigit() or ":" in source.name or source.name == "csi"
        assert known or Path(source.name).exists()

"""Image files as a source."""

from __future__ import annotations

import time

import pytest

from edgekit.core.errors import BadInput
from edgekit.pipeline.source import SourceEnded
from edgekit.pipeline.sources.parse import frame_source
from edgekit.pipeline.sources.pictures import ImageFiles


def test_a_folder_gives_its_pictures_in_order(picture, tmp_path):
    picture("b.png", 20)
    picture("a.png", 10, size=(32, 24))
    picture("c/d.png", 30)
    source = frame_source(str(tmp_path), every_frame=True)
    granted = source.open()
    assert (granted.width, granted.height, granted.frames) == (32, 24, 3)
    frames = [source.read() for _ in range(3)]
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [10, 20, 30]
    assert [frame.number for frame in frames] == [0, 1, 2]
    with pytest.raises(SourceEnded):
        source.read()


def test_a_picture_that_is_none_is_one_sentence(picture, tmp_path):
    good, bad = picture("a.png"), tmp_path / "b.png"
    bad.write_bytes(b"garbage")
    source = ImageFiles("folder", [good, bad])
    source.open()
    source.read()
    with pytest.raises(BadInput, match=r"b\.png is not an image"):
        source.read()
    with pytest.raises(BadInput, match=r"b\.png is not an image"):
        ImageFiles("folder", [bad]).open()


def test_pictures_come_at_a_rate_and_stop_at_once(picture):
    path = picture("a.png")
    source = ImageFiles("folder", [path] * 5, rate=10)
    source.open()
    begin = time.monotonic()
    for _ in range(3):
        source.read()
    assert time.monotonic() - begin >= 0.2
    source = ImageFiles("folder", [path] * 5, rate=0.01)
    source.open()
    source.read()
    source.interrupt()
    with pytest.raises(SourceEnded):
        source.read()

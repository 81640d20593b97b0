"""Video files: every frame, or those that are due; what is no video."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.pipeline.source import SourceEnded
from edgekit.pipeline.sources import decoding
from edgekit.pipeline.sources.paced import PacedVideo
from edgekit.pipeline.sources.video import VideoFile
from edgekit.tasks.images import read_image


@pytest.fixture
def ffmpeg(tool):
    """Run ffmpeg with arguments."""
    command = [tool("ffmpeg"), "-y", "-loglevel", "quiet"]
    return lambda *arguments: subprocess.run([*command, *map(str, arguments)], check=True)


def rest(source):
    """All frames until the end."""
    frames = []
    try:
        while True:
            frames.append(source.read())
    except SourceEnded:
        return frames


def brightness(frames):
    """The count in each picture; two conversions of colours take two or three levels off."""
    return [round((float(frame.pixels.mean()) - 17.5) / 5) for frame in frames]


def test_every_frame_comes_once_in_order(video):
    source = VideoFile(video(frames=20, rate=20))
    granted = source.open()
    frames = rest(source)
    assert (granted.width, granted.height, granted.rate) == (64, 48, 20.0)
    assert (granted.pixel_format, granted.backend, granted.frames) == ("mpeg4", "PyAV", 20)
    assert brightness(frames) == list(range(20))
    assert [frame.number for frame in frames] == list(range(20))
    assert [round(frame.position_s, 3) for frame in frames] == [i / 20 for i in range(20)]
    source.close()
    source.close()


def test_frames_do_not_share_memory(video):
    source = VideoFile(video())
    source.open()
    first, second = source.read(), source.read()
    before = first.pixels.copy()
    rest(source)
    source.close()
    assert not np.shares_memory(first.pixels, second.pixels)
    assert (first.pixels == before).all()


@pytest.mark.parametrize("size", [(64, 48), (66, 50), (98, 34)])
def test_pixels_are_whole_rows_whatever_the_width(video, size):
    source = VideoFile(video(size=size))
    source.open()
    pixels = source.read().pixels
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


def test_colours_are_bgr(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "blue.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[..., 0] = 255
        frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    source = VideoFile(path)
    source.open()
    blue, green, red = source.read().pixels.reshape(-1, 3).mean(0)
    assert blue > 200
    assert max(green, red) < 60


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_stands_upright(ffmpeg, tmp_path, degrees):
    # Phones film sideways and write down by how much. ffmpeg is asked what upright is.
    flat, turned, upright = (tmp_path / name for name in ("flat.mp4", "turned.mp4", "upright.png"))
    moving = ("-f", "lavfi", "-i", "testsrc2=s=128x64:r=5", "-t", "1")
    ffmpeg(*moving, "-c:v", "mpeg4", "-q:v", "1", flat)
    try:
        ffmpeg("-display_rotation", str(degrees), "-i", flat, "-c", "copy", turned)
    except subprocess.CalledProcessError:  # before ffmpeg 6
        ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v:0", f"rotate={degrees}", turned)
    ffmpeg("-i", turned, "-frames:v", "1", upright)
    expected = read_image(upright).astype(int)
    source = VideoFile(turned)
    granted = source.open()
    pixels = source.read().pixels
    assert pixels.shape == expected.shape
    assert (granted.height, granted.width) == pixels.shape[:2]
    assert np.abs(pixels - expected).mean() < 3


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
@pytest.mark.parametrize("kind", [VideoFile, PacedVideo])
def test_what_is_no_video_is_one_sentence(tmp_path, content, kind, capfd):
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.mp4 is not a video that can be decoded"):
        kind(path).open()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"),
        ("x.ffconcat", "ffconcat version 1.0\nfile {}\n"),
        ("x.mp4", "ffconcat version 1.0\nfile {}\n"),
        ("x.sdp", "v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n"),
    ],
)
@pytest.mark.parametrize("kind", [VideoFile, PacedVideo])
def test_a_file_that_leads_to_other_files_is_refused(tmp_path, video, name, text, kind):
    other = video("other.ts", frames=5, codec="mpeg2video")
    path = tmp_path / name
    path.write_text(text.format(other.name))
    with pytest.raises(BadInput, match=f"{name} .* list of other files"):
        kind(path).open()


def test_a_file_of_sound_alone_is_one_sentence(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(BadInput, match="it holds no video"):
        VideoFile(path).open()


def test_a_truncated_video_gives_what_is_there(video):
    path = video("cut.ts", frames=20, codec="mpeg2video")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = VideoFile(path)
    source.open()
    frames = rest(source)
    assert 0 < len(frames) < 20
    assert brightness(frames) == list(range(len(frames)))


def test_a_file_name_that_looks_like_an_address_is_a_file(video, monkeypatch):
    path = video("http:clip.avi")
    monkeypatch.chdir(path.parent)
    from pathlib import Path

    source = VideoFile(Path("http:clip.avi"))
    assert source.open().width == 64


def test_without_pyav_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingLibrary, match=r"pip install 'edgekit\[demo\]'"):
        VideoFile(tmp_path / "x.mp4").open()


def test_a_paced_video_takes_as_long_as_it_lasts(video):
    source = PacedVideo(video(frames=20, rate=20))
    assert source.open().rate == 20.0
    begin = time.monotonic()
    frames = rest(source)
    took_s = time.monotonic() - begin
    assert took_s > 0.93
    assert brightness(frames) == [frame.number for frame in frames]
    # Each was captured when it was due, on the dot; the second is never late.
    due = [frame.captured_ns - round(frame.position_s * 1e9) for frame in frames[1:]]
    assert max(due) - min(due) < 1000


def test_a_paced_video_can_be_played_at_another_rate(video):
    source = PacedVideo(video(frames=20, rate=20), rate=100)
    assert source.open().rate == 100
    frames = rest(source)
    assert round((frames[-1].captured_ns - frames[1].captured_ns) / 1e6) == 180


def test_frames_that_are_overdue_are_left_out_without_conversion(video, monkeypatch):
    source = PacedVideo(video(frames=40, rate=40))
    converted = []
    usual = decoding.Decoding.pixels
    monkeypatch.setattr(
        decoding.Decoding, "pixels", lambda self, one: converted.append(one) or usual(self, one)
    )
    source.open()
    source.read()
    first = source.read()
    converted.clear()
    source._start_ns -= 500_000_000  # half a second in which nobody read
    second = source.read()
    assert second.number >= first.number + 15
    assert len(converted) == 1
    assert round(second.position_s * 40) == second.number
    # As late as it is: captured when it was due.
    assert second.captured_ns == source._start_ns + round(second.position_s * 1e9)


def test_nothing_is_late_because_the_first_frame_was_looked_at_for_long(video):
    source = PacedVideo(video(frames=40, rate=40))
    source.open()
    source.read()
    time.sleep(0.5)
    before_ns = time.perf_counter_ns()
    second = source.read()
    assert second.number == 1
    assert second.captured_ns >= before_ns


def test_after_a_long_break_a_paced_video_goes_on_where_it_was(video):
    source = PacedVideo(video(frames=40, rate=40))
    source.open()
    source.read()
    source.read()
    source._start_ns -= 3_600_000_000_000  # a laptop that was asleep for an hour
    assert source.read().number <= 3


def test_a_decoder_slower_than_the_video_still_shows_frames(video, monkeypatch):
    source = PacedVideo(video(frames=40, rate=200))
    source.open()
    usual = decoding.Decoding.next
    monkeypatch.setattr(decoding.Decoding, "next", lambda self: time.sleep(0.03) or usual(self))
    frames = rest(source)
    assert 3 <= len(frames) < 38
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})


def test_an_interrupted_wait_ends_at_once(video):
    source = PacedVideo(video(frames=4, rate=1))
    source.open()
    source.read()
    source.read()
    from threading import Timer

    source._start_ns += 3_600_000_000_000  # the next frame is due in an hour
    Timer(0.1, source.interrupt).start()
    assert len(rest(source)) <= 1


@pytest.mark.realdata
def test_the_real_video_is_read_whole(realdata):
    source = VideoFile(realdata / "video" / "one-by-one-person-detection.mp4")
    granted = source.open()
    frames = [source.read() for _ in range(50)]
    assert frames[0].pixels.shape == (granted.height, granted.width, 3)
    steps = {round((b.position_s - a.position_s) * granted.rate, 2) for a, b in pairwise(frames)}
    assert steps == {1.0}
    source.close()


def test_a_video_of_which_nothing_can_be_decoded_is_one_sentence(ffmpeg, tmp_path, monkeypatch):
    whole, headless = tmp_path / "whole.ts", tmp_path / "headless.ts"
    moving = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-t", "1")
    ffmpeg(*moving, "-c:v", "libx264", "-bf", "0", whole)
    # Without its key frames no other picture can be made.
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "filter_units=remove_types=5", headless)
    with pytest.raises(BadInput, match="no picture can be decoded"):
        VideoFile(headless).open()
    monkeypatch.setattr(decoding, "_HOPELESS", 10)
    with pytest.raises(BadInput, match="nothing of 10 packets in a row could be decoded"):
        VideoFile(headless).open()


def test_a_picture_larger_than_the_limit_is_not_decoded(video, monkeypatch):
    monkeypatch.setattr("edgekit.pipeline.sources.decoding._PIXELS", 64)
    with pytest.raises(BadInput, match="no picture can be decoded|could be decoded"):
        VideoFile(video()).open()

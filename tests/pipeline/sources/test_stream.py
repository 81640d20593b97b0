"""Network streams without a grabber: recordings, transports, sizes that change, old pictures."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import time
from itertools import pairwise
from threading import Thread

import pytest

from edgekit.core.errors import BadInput
from edgekit.pipeline.source import SourceEnded, SourceLost
from edgekit.pipeline.sources.stream import Stream
from edgekit.pipeline.sources.video import VideoFile

pytest.importorskip("av")


@pytest.fixture
def web(tmp_path):
    """A web server of a folder, as the address of it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def rest(source):
    frames = []
    try:
        while True:
            frames.append(source.read())
    except SourceEnded:
        return frames


def test_a_recording_behind_an_address_plays_at_its_own_rate(web, video):
    path = video(frames=20, rate=20)
    source = Stream(f"{web}/{path.name}")
    assert source.open().rate == 20
    begin = time.monotonic()
    frames = rest(source)
    assert time.monotonic() - begin > 0.8
    # What told the codec is not played: on a live stream it would be old.
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 17
    apart = [b.captured_ns - a.captured_ns for a, b in pairwise(frames)]
    assert {round(gap / 1e6) for gap in apart} == {50}
    source.close()


@pytest.mark.parametrize("ended", [True, False])
def test_a_stream_in_pieces_is_played_evenly(tool, web, tmp_path, ended):
    playlist = tmp_path / "live.m3u8"
    subprocess.run(
        [
            *(tool("ffmpeg"), "-loglevel", "quiet", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=20"),
            *("-t", "3", "-c:v", "libx264", "-tune", "zerolatency", "-g", "20", "-f", "hls"),
            *("-hls_time", "1", "-hls_list_size", "9", str(playlist)),
        ],
        check=True,
    )
    if not ended:
        playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    source = Stream(f"{web}/live.m3u8", read_s=5)
    source.open()
    begin = time.monotonic()
    frames = [source.read() for _ in range(25)]
    assert time.monotonic() - begin > 1.1
    assert [frame.number for frame in frames] == list(range(25))
    apart = [b.captured_ns - a.captured_ns for a, b in pairwise(frames)]
    assert {round(gap / 1e6) for gap in apart} == {50}
    source.close()


def test_every_frame_of_a_recording_comes_at_full_speed(web, video):
    # At its own rate it would take four minutes.
    path = video(frames=240, rate=1)
    source = Stream(f"{web}/{path.name}", every_frame=True)
    source.open()
    begin = time.monotonic()
    assert len(rest(source)) == 240
    assert time.monotonic() - begin < 200
    source.close()


def test_a_page_that_is_no_video_is_one_sentence(web, tmp_path, capfd):
    (tmp_path / "index.html").write_text("<html>" + "<p>Hello</p>" * 1000)
    with pytest.raises(BadInput, match="damaged, or of a kind that FFmpeg does not know"):
        Stream(f"{web}/index.html").open()
    with pytest.raises(BadInput, match="404"):
        Stream(f"{web}/nothing.mp4").open()
    assert capfd.readouterr().err == ""


def test_a_host_that_nobody_knows_may_come(monkeypatch):
    with pytest.raises(SourceLost, match="cannot be reached, or the connection broke"):
        Stream("http://a:hunter2@nothing.invalid/x", open_s=20).open()


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_other_transports(tool, processes, free_port, wait_until, scheme):
    port = free_port()
    address = f"{scheme}://127.0.0.1:{port}" + ("?listen" if scheme == "tcp" else "")
    processes(
        *(tool("ffmpeg"), "-loglevel", "quiet", "-re", "-f", "lavfi"),
        *("-i", "testsrc2=s=160x120:r=20", "-t", "30", "-c:v", "libx264", "-tune", "zerolatency"),
        *("-g", "5", "-f", "mpegts", address),
    )
    source = Stream(f"{scheme}://127.0.0.1:{port}", open_s=10, read_s=5)
    opened = []

    def opens():
        try:
            opened.append(source.open())
        except SourceLost:
            time.sleep(0.1)
        return opened

    wait_until(opens, "a connection")
    assert (opened[0].width, opened[0].height) == (160, 120)
    assert [source.read().pixels.shape for _ in range(5)] == [(120, 160, 3)] * 5
    source.close()


def test_a_size_that_changes_on_the_way_is_followed(video):
    small = video("small.ts", size=(64, 48), codec="mpeg2video", frames=5, rate=25)
    large = video("large.ts", size=(96, 64), codec="mpeg2video", frames=5, rate=25)
    both = small.with_name("both.ts")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    source = VideoFile(both)
    source.open()
    shapes = [frame.pixels.shape[:2] for frame in rest(source)]
    # A decoder may keep the last picture before the change.
    assert shapes in ([(48, 64)] * count + [(64, 96)] * 5 for count in (4, 5))


def test_damage_in_the_middle_is_skipped(video):
    path = video("damaged.ts", codec="mpeg2video", frames=30, rate=25)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 188 * 188
    content[middle : middle + 188 * 3] = bytes(188 * 3)
    path.write_bytes(content)
    source = VideoFile(path)
    source.open()
    assert 15 <= len(rest(source)) <= 30


class _Clock:
    """A stream clock that says how old each picture is."""

    def __init__(self, ages_s):
        self.ages_s = list(ages_s)

    def captured(self, seconds, arrived_ns):
        return time.perf_counter_ns() - round(self.ages_s.pop(0) * 1e9)


def test_old_pictures_are_left_out_for_two_seconds_at_most(web, video, monkeypatch):
    path = video("long.ts", codec="mpeg2video", frames=40, rate=25)
    source = Stream(f"{web}/{path.name}", late_s=500)
    source.open()
    monkeypatch.setattr(type(source._decoding), "ahead", False)
    source._clock = _Clock([1, 1, 3000, 2000, 1] + [5000] * 35)
    monkeypatch.setattr("edgekit.pipeline.sources.stream._CATCH_UP_NS", 600_000_000_000)
    assert [source.read().number for _ in range(3)] == [0, 1, 4]
    monkeypatch.setattr("edgekit.pipeline.sources.stream._CATCH_UP_NS", 0)
    late = source.read()
    assert late.number == 5
    assert time.perf_counter_ns() - late.captured_ns > 4000e9


def test_a_process_ends_at_once_while_a_read_is_blocked(tcp_server):
    # The reader is a daemon thread inside FFmpeg: Python must neither wait for it nor crash.
    script = f"""
import time
from edgekit.pipeline.grabber import Grabber
from edgekit.pipeline.slot import NewestSlot
from edgekit.pipeline.sources.stream import Stream
from edgekit.pipeline.states import StateLog
stream = Stream("http://127.0.0.1:{tcp_server()}/x", open_s=3600)
grabber = Grabber(stream, NewestSlot(), StateLog())
grabber.start()
time.sleep(0.5)
grabber.stop()
"""
    # An hour is what the open itself may take.
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""

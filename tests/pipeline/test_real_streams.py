"""Streams of real servers through the grabber: frozen, killed, back at another size, slow."""

from __future__ import annotations

import time

import pytest

from edgekit.core.errors import BadInput
from edgekit.pipeline.grabber import Grabber, Patience
from edgekit.pipeline.sources.stream import Stream

pytest.importorskip("av")

PATIENCE = Patience(stalled_s=1.0, first_retry_s=0.1, last_retry_s=0.3)


@pytest.fixture
def grab(taker, states):
    """Start a grabber on an address; it is stopped at the end."""
    started = []

    def start(address, *, read_s=2.5, late_s=1.0, **keys):
        stream = Stream(address, open_s=60, read_s=read_s, late_s=late_s)
        grabber = Grabber(stream, taker.slot, states, patience=PATIENCE, **keys)
        started.append(grabber)
        grabber.start()
        return grabber

    yield start
    for grabber in started:
        grabber.stop()


def test_a_server_that_freezes_is_killed_and_comes_back_at_another_size(
    rtsp, grab, taker, states, wait_until
):
    grabber = grab(rtsp.address)
    wait_until(lambda: len(taker.taken) >= 10, "frames")
    rtsp.freeze()
    frozen_ns = time.perf_counter_ns()
    states.wait("stalled")
    states.wait("reconnecting")
    broken = len(taker.taken)
    rtsp.go_on()
    states.wait("live", 2)
    wait_until(lambda: len(taker.taken) >= broken + 10, "frames after the freeze")
    resumed_ns = frozen_ns + 1_000_000_000
    assert all(one.made_ns > resumed_ns for one in taker.taken[broken:]), "an old frame came back"

    rtsp.kill()
    killed_ns = time.perf_counter_ns()
    states.wait("reconnecting", 2)
    killed = len(taker.taken)
    rtsp.start(480, 272)
    states.wait("live", 3)
    wait_until(lambda: len(taker.taken) >= killed + 10, "frames of the new size")

    assert states.names == [
        "connecting",
        *("live", "stalled", "reconnecting"),
        *("live", "reconnecting"),
        "live",
    ]
    new = taker.taken[killed:]
    assert {one.frame.pixels.shape for one in new} == {(272, 480, 3)}
    assert all(one.made_ns > killed_ns for one in new)
    assert (grabber.granted.width, grabber.granted.height) == (480, 272)
    assert taker.numbers == sorted(set(taker.numbers))
    grabber.stop()
    states.wait("ended")


def test_the_age_of_a_frame_is_what_its_picture_says(rtsp, grab, taker, wait_until):
    grab(rtsp.address)
    wait_until(lambda: len(taker.taken) >= 40, "frames")
    # How far the picture's own stamp is before what the source says: coding and two sockets.
    ahead_ms = sorted((one.frame.captured_ns - one.made_ns) / 1e6 for one in taker.taken[10:])
    # A frame is whole when the next one begins: one interval of 50 ms. What holds all of them back
    # holds the quickest one back; a busy machine holds only some.
    assert -2 < ahead_ms[0] < 200


def test_what_a_network_held_back_is_left_out_or_its_age_told(
    rtsp, relay, grab, taker, states, wait_until
):
    between = relay(rtsp.port)
    grab(f"rtsp://127.0.0.1:{between.port}/cam", read_s=10)
    wait_until(lambda: len(taker.taken) >= 20, "frames")
    between.hold()
    states.wait("stalled")
    time.sleep(4)
    before = len(taker.taken)
    between.release()
    states.wait("live", 2)
    wait_until(lambda: len(taker.taken) >= before + 20, "frames after the pause")
    after = taker.taken[before:]
    assert "reconnecting" not in states.names
    # Told to be as old as it is: the burst's pictures were made up to five seconds before they
    # came, of which two are a busy machine's.
    for one in after:
        assert (one.frame.captured_ns - one.made_ns) / 1e9 < 2
        assert (one.taken_ns - one.made_ns) / 1e9 < 1 + 2
    skipped = after[0].frame.number - taker.taken[before - 1].frame.number
    assert skipped > 10, "nothing had lain in the network"


def test_an_http_stream_ends(http_stream, grab, taker, states):
    _, address = http_stream(seconds=2)
    granted = grab(address).wait_open()
    assert (granted.width, granted.height, granted.rate) == (160, 120, 20)
    assert (granted.pixel_format, granted.backend) == ("h264", "PyAV")
    states.wait("ended")
    assert states.names == ["connecting", "live", "ended"]
    assert states.events[-1].reason == f"{address} ended."
    assert len(taker.taken) >= 10
    assert taker.closed.wait(60)


def test_a_motion_jpeg_camera_that_hangs_up_is_asked_again(
    http_stream, grab, taker, states, wait_until
):
    process, address = http_stream(form="mpjpeg", codec="mjpeg")
    grabber = grab(address)
    wait_until(lambda: len(taker.taken) >= 10, "frames")
    assert min(one.age_ms for one in taker.taken) < 5000
    process.kill()
    states.wait("reconnecting")
    grabber.stop()
    states.wait("ended")
    assert states.names == ["connecting", "live", "reconnecting", "ended"]


def test_an_http_stream_that_freezes_is_stalled_and_goes_on(
    http_stream, grab, taker, states, wait_until
):
    import signal

    process, address = http_stream()
    grab(address, read_s=300)
    wait_until(lambda: len(taker.taken) >= 10, "frames")
    process.send_signal(signal.SIGSTOP)
    states.wait("stalled")
    process.send_signal(signal.SIGCONT)
    states.wait("live", 2)
    assert states.names == ["connecting", "live", "stalled", "live"]


def test_a_read_that_is_blocked_does_not_hold_up_the_end(
    http_stream, grab, taker, states, wait_until
):
    import signal

    process, address = http_stream()
    grabber = grab(address, read_s=3600)
    wait_until(lambda: taker.taken, "a frame")
    process.send_signal(signal.SIGSTOP)
    states.wait("stalled")
    # It comes back because it does not wait for the hour.
    grabber.stop()
    states.wait("ended")
    assert taker.closed.wait(60)


def test_garbage_over_http_is_one_sentence(tcp_server, grab):
    header = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 16000\r\n\r\n"
    body = header + b"garbage " * 2000
    grabber = grab(f"http://admin:hunter2@127.0.0.1:{tcp_server(body, close=True)}/x")
    with pytest.raises(
        BadInput, match=r"cannot be opened: the data is damaged, or of a kind"
    ) as caught:
        grabber.wait_open(120)
    assert "//***@127.0.0.1" in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_a_page_that_is_not_there_is_one_sentence(tcp_server, grab):
    port = tcp_server(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", close=True)
    with pytest.raises(BadInput, match="404"):
        grab(f"http://127.0.0.1:{port}/x?token=hunter2").wait_open(120)


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_a_server_that_never_answers_is_asked_again(tcp_server, taker, states, scheme):
    stream = Stream(f"{scheme}://127.0.0.1:{tcp_server()}/x", open_s=0.5, read_s=0.5)
    grabber = Grabber(stream, taker.slot, states, patience=PATIENCE)
    grabber.start()
    states.wait("reconnecting")
    grabber.stop()
    states.wait("ended")
    assert states.names == ["connecting", "reconnecting", "ended"]
    assert "there was no answer within 0.5 s" in states.events[1].reason
    assert grabber.wait_open() is None


def test_nobody_there_is_asked_again_until_patience_ends(free_port, taker, states):
    stream = Stream(f"rtsp://127.0.0.1:{free_port()}/x", open_s=1, read_s=1)
    patience = Patience(first_retry_s=0.05, last_retry_s=0.1, give_up_s=0.6)
    grabber = Grabber(stream, taker.slot, states, patience=patience)
    grabber.start()
    states.wait("ended")
    assert states.names == ["connecting", "reconnecting", "ended"]
    assert "connection refused" in states.events[1].reason
    assert "gave no frame for 0.6 s" in str(grabber.failure)

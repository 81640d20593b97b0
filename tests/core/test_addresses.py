"""What of an address is shown: nothing that could open the camera."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.addresses import hide_secrets, without_secrets
from edgekit.core.errors import BadInput
from edgekit.pipeline.sources.parse import frame_source

# Of digits too: a numeric password looks like a port.
_SECRET = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=20).map(
    lambda text: f"7{text}"
)
_ODD = st.sampled_from(["", "@", ":", "%40", "!", "$", "/", "?", "#", "&", "=", ";", "\\"])
_PLACES = (
    "rtsp://{}@camera.example/live",
    "rtsp://admin:{}@camera.example:554/live",
    "rtsp://:{}@camera.example/live",
    "http://camera.example/video?{}",
    "http://camera.example/video?access={}&w=1",
    "http://camera.example/video?pw={}",
    "http://camera.example/video?jwt={}#top",
    "http://camera.example/video?channel={}",
    "http://camera.example/video#{}",
    "http://camera.example/video;key={}",
    "rtsp://camera.example/user=admin&password={}&channel=1",
    "admin:{}@camera.example/live",
    "//admin:{}@camera.example/live",
    "rtsp%3A%2F%2Fadmin%3A{}%40camera.example",
    "gst:rtspsrc location=rtsp://admin:{}@camera.example/live ! decodebin",
    'gst:rtspsrc user-pw="{}" user-id=admin ! decodebin',
    "gst:souphttpsrc cookies='sid={}' extra={} ! decodebin",
)


@given(_SECRET, _ODD, st.sampled_from(_PLACES))
def test_a_secret_is_shown_nowhere(secret, odd, place):
    address = place.replace("{}", secret + odd + secret)
    assert secret not in hide_secrets(address)


@given(st.text(max_size=80), st.sampled_from(["rtsp://", "gst:", "http://h/", "rtsp://u:p@h", ""]))
def test_what_is_hidden_once_stays_as_it_is(text, begin):
    shown = hide_secrets(begin + text)
    assert hide_secrets(shown) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (
            "rtsp://admin:12345@10.0.0.3/Streaming/Channels/101",
            "rtsp://***@10.0.0.3/Streaming/Channels/101",
        ),
        ("rtsp://TOKEN@h:554/live", "rtsp://***@h:554/live"),
        ("rtsp://admin:pa/hunter2@h/x", "rtsp://***"),
        ("rtmp://h/live/abcd1234efgh5678", "rtmp://h/live/***"),
        ("http://h/a?access=1&pw=2&w=640&jwt=3#x", "http://h/a?***&w=640&***#***"),
        ("http://h/axis-cgi/mjpg/video.cgi?fps=15&resolution=640x480",) * 2,
        ("rtsp://h:554/cam/realmonitor?channel=1&subtype=0",) * 2,
        ("http://[fe80::1%eth0]:80/a",) * 2,
        ("udp://@239.0.0.1:1234",) * 2,
        ("udp://:1234",) * 2,
        ("file:///home/me/a@b:c.mp4",) * 2,
        ("photos/img@2x.png",) * 2,
        ("gst:v4l2src device=/dev/video0 ! video/x-raw,width=1280,framerate=30/1 ! videoconvert",)
        * 2,
        ("gst:nvarguscamerasrc sensor-id=0 ! video/x-raw(memory:NVMM),format=NV12 ! nvvidconv",)
        * 2,
        (
            "gst:rtspsrc user-pw=a b ! decodebin name=d",
            "gst:rtspsrc user-pw=*** *** ! decodebin name=d",
        ),
    ],
)
def test_what_is_shown_tells_the_stream(address, shown):
    assert hide_secrets(address) == shown


def test_an_address_inside_a_sentence_is_hidden_and_the_sentence_stays():
    sentence = "A source is a stream (rtsp://, http://), not 'rtsp://u:hunter2@h/x'. See https://docs.pytorch.org/docs/export.html."
    assert without_secrets(sentence) == sentence.replace("u:hunter2@", "***@")
    assert "hunter2" not in str(BadInput("no", hint="Try rtsp://u:hunter2@h/x."))


def test_a_forgotten_scheme_hides_all():
    with pytest.raises(BadInput) as caught:
        frame_source("admin:hunter2@camera/live")
    assert "hunter2" not in str(caught.value)


def test_the_pages_that_messages_point_at_are_shown_whole():
    page = "https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html"
    assert without_secrets(f"See {page}.") == f"See {page}."

"""The network input for a stream: no padding beyond the stride, never larger than the square."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.card import Axis, ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.core.sizes import parse_stream
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.stream_shape import card_at, stream_shape

SIDES = st.integers(1, 8000)
STRIDES = st.sampled_from([8, 16, 32, 64])


@pytest.mark.parametrize(
    ("stream", "stride", "model", "expected"),
    [
        ((1280, 720), 32, (640, 640), (384, 640)),
        ((1920, 1080), 32, (640, 640), (384, 640)),
        ((1280, 720), 32, (416, 416), (256, 416)),
        ((720, 1280), 32, (640, 640), (640, 384)),
        ((640, 480), 32, (640, 640), (480, 640)),
        ((1080, 1080), 32, (640, 640), (640, 640)),
        ((1280, 720), 64, (1280, 1280), (768, 1280)),
        # A model that is the stream's own shape already, and one that is turned.
        ((1280, 720), 32, (384, 640), (384, 640)),
        ((720, 1280), 32, (384, 640), (640, 384)),
        # A side that is no multiple of the stride still bounds.
        ((100, 99), 32, (300, 300), (300, 300)),
        ((5000, 1), 32, (640, 640), (32, 640)),
    ],
)
def test_known_streams(stream, stride, model, expected):
    assert stream_shape(stream, stride, model) == expected


@given(SIDES, SIDES, STRIDES, st.integers(1, 40))
def test_the_picture_fills_all_but_less_than_a_stride(width, height, stride, cells):
    side = stride * cells
    rows, columns = stream_shape((width, height), stride, (side, side))
    assert rows % stride == columns % stride == 0
    assert max(rows, columns) == side
    ratio = min(rows / height, columns / width)
    # As large as in the square, up to what rounding takes, and filled on both axes.
    assert ratio == pytest.approx(min(side / height, side / width))
    assert rows - height * ratio < stride + 1e-6
    assert columns - width * ratio < stride + 1e-6


@given(SIDES, SIDES, STRIDES, st.integers(1, 40))
def test_a_stream_on_its_side_gets_the_shape_on_its_side(width, height, stride, cells):
    side = stride * cells
    shape = stream_shape((width, height), stride, (side, side))
    assert stream_shape((height, width), stride, (side, side)) == shape[::-1]


def test_no_size_is_a_fault_of_the_caller():
    with pytest.raises(ValueError, match="positive"):
        stream_shape((0, 720), 32, (640, 640))


def test_sizes_of_streams_as_people_write_them():
    assert parse_stream("1280x720") == parse_stream("1280X720") == parse_stream("1280×720")
    for text in ("1280", "1280x", "x720", "1280x720x3", "-1x5", "0x720", "1280x99999999", "axb"):
        with pytest.raises(BadInput, match="stream") as caught:
            parse_stream(text)
        assert "1280x720" in caught.value.hint


def card(resize="letterbox", layout="NCHW"):
    sides = (Axis("height", 64, 320, 1280), Axis("width", 64, 320, 1280))
    shape = ("batch", 3, *sides) if layout == "NCHW" else ("batch", *sides, 3)
    return ModelCard(
        task="detection",
        inputs={"images": TensorCard(shape, layout=layout)},
        preprocess=Preprocess(size=(320, 320), resize=resize),
        postprocess=Postprocess(decode="yolov8"),
    )


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_card_at_a_size_lays_pictures_into_it(layout):
    fixed = card_at(card(layout=layout), (192, 320))
    expected = ("batch", 3, 192, 320) if layout == "NCHW" else ("batch", 192, 320, 3)
    assert fixed.inputs["images"].shape == expected
    assert fixed.preprocess.size == (192, 320)
    assert preprocessor(fixed).preprocess.size == (192, 320)


def test_what_cannot_be_fitted_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match="stretch' *|stretch"):
        card_at(card("stretch"), (192, 320))
    with pytest.raises(BadInput, match="'height' of the model takes 64 to 1280, not 32"):
        card_at(card(), (32, 320))
    with pytest.raises(BadInput, match="takes arrays"):
        card_at(ModelCard(), (192, 320))

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.card import ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.tasks.preprocess import Preprocessor, image_input, preprocessor

side = st.integers(1, 90)
sides = st.tuples(side, side)
resizes = st.sampled_from(
    [
        {"resize": "stretch"},
        {"resize": "crop"},
        {"resize": "crop", "resize_to": 64},
        {"resize": "letterbox", "anchor": "center"},
        {"resize": "letterbox", "anchor": "top-left"},
    ]
)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    image=sides,
    size=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    resize=resizes,
    colour=st.sampled_from(["RGB", "BGR", "GRAY"]),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "area"]),
)
def test_any_image_fills_the_input(image, size, resize, colour, layout, interpolation):
    section = Preprocess(size=size, colour=colour, interpolation=interpolation, **resize)
    array, fit = Preprocessor(section, layout)(noise(*image))
    channels = 1 if colour == "GRAY" else 3
    shape = (channels, *size) if layout == "NCHW" else (*size, channels)
    assert array.shape == (1, *shape)
    assert array.dtype == np.float32
    assert (fit.image, fit.size) == (image, size)


@given(image=sides, size=sides, anchor=st.sampled_from(["center", "top-left"]))
def test_a_letterbox_keeps_the_ratio_and_all_of_the_image(image, size, anchor):
    section = Preprocess(size=size, resize="letterbox", anchor=anchor, pad=7)
    white = np.full((*image, 3), 255, np.uint8)
    array, fit = Preprocessor(section)(white)
    ratio = min(size[0] / image[0], size[1] / image[1])
    inside = array[0, 0] == 255
    assert set(np.unique(array)) <= {7.0, 255.0}
    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    assert inside.sum() == rows * columns
    assert abs(rows - image[0] * ratio) < 1
    assert abs(columns - image[1] * ratio) < 1
    # Ultralytics scales each side by what it became, YOLOX both by the ratio.
    scales = (ratio, ratio) if anchor == "top-left" else (rows / image[0], columns / image[1])
    assert (fit.scale_y, fit.scale_x) == pytest.approx(scales)
    assert inside[int(fit.top), int(fit.left)]
    if anchor == "top-left":
        assert fit.top == fit.left == 0
    else:
        assert abs((size[0] - rows) - 2 * fit.top) <= 1
        assert abs((size[1] - columns) - 2 * fit.left) <= 1


@settings(deadline=None)
@given(image=sides, resize=resizes, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_point_of_the_image_comes_back(image, resize, x, y):
    from edgekit.tasks.detection import _to_image

    _, fit = Preprocessor(Preprocess(size=(40, 56), **resize))(noise(*image))
    point = np.array([x * image[1], y * image[0]])
    there = point * [fit.scale_x, fit.scale_y] + [fit.left, fit.top]
    box = np.concatenate([there, there])[None].astype(np.float32)
    back = _to_image(box, fit)[0]
    assert back == pytest.approx(np.concatenate([point, point]), abs=1e-3 * max(image))


@pytest.mark.parametrize(
    "resize",
    [
        {"resize": "stretch"},
        {"resize": "crop"},
        {"resize": "crop", "resize_to": 160},
        {"resize": "letterbox", "anchor": "center"},
        {"resize": "letterbox", "anchor": "top-left"},
    ],
)
def test_a_mark_in_the_image_lands_where_the_fit_says(resize):
    image = np.zeros((200, 300, 3), np.uint8)
    image[96:104, 146:154] = 255  # centre (150, 100)
    array, fit = Preprocessor(Preprocess(size=(128, 128), pad=0, **resize))(image)
    bright = np.argwhere(array[0, 0] > 128)
    y, x = bright.mean(axis=0) + 0.5
    assert x == pytest.approx(150 * fit.scale_x + fit.left, abs=1)
    assert y == pytest.approx(100 * fit.scale_y + fit.top, abs=1)


@pytest.mark.parametrize("colour", ["RGB", "BGR"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_numbers_are_scaled_then_normalised_in_the_order_of_colour(colour, layout):
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    section = Preprocess(size=(9, 11), colour=colour, scale=1 / 255, mean=mean, std=std)
    image = noise(9, 11)
    array, _ = Preprocessor(section, layout)(image)
    ordered = image[..., ::-1] if colour == "RGB" else image
    expected = (ordered / 255 - np.array(mean)) / np.array(std)
    expected = expected.transpose(2, 0, 1) if layout == "NCHW" else expected
    assert np.array_equal(array[0], expected.astype(np.float32))


def test_the_numbers_are_those_of_opencvs_own_blob():
    image = noise(30, 20)
    section = Preprocess(size=(16, 16), colour="RGB", scale=1 / 255, mean=(0.1, 0.2, 0.3))
    array, _ = Preprocessor(section)(image)
    mean = [255 * value for value in section.mean]
    blob = cv2.dnn.blobFromImage(image, 1 / 255, (16, 16), mean, swapRB=True)
    assert np.abs(array - blob).max() < 1e-6


def test_grey_is_made_before_it_is_resized():
    image = noise(30, 20)
    array, _ = Preprocessor(Preprocess(size=(16, 16), colour="GRAY", mean=(1,), std=(2,)))(image)
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (16, 16))
    assert np.array_equal(array[0, 0], (grey.astype(np.float32) - 1) / 2)


def test_the_centre_is_cropped():
    image = noise(64, 100)
    array, fit = Preprocessor(Preprocess(size=(32, 32), resize="crop", resize_to=64))(image)
    assert np.array_equal(array[0].transpose(1, 2, 0), image[16:48, 34:66, ::-1])
    assert (fit.left, fit.top) == (-34, -16)


def test_a_top_left_letterbox_cuts_a_fraction_off_and_a_centred_one_rounds():
    # 427 * 416 / 640 = 277.55
    for anchor, rows in (("top-left", 277), ("center", 278)):
        section = Preprocess(size=(416, 416), resize="letterbox", anchor=anchor, pad=0)
        array, _ = Preprocessor(section)(np.full((427, 640, 3), 255, np.uint8))
        assert (array[0, 0, :, 0] == 255).sum() == rows


def test_preprocessing_leaves_the_image_alone():
    image = noise(32, 32)
    before = image.copy()
    Preprocessor(Preprocess(size=(32, 32)))(image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused_with_its_shape(array):
    with pytest.raises(BadInput) as caught:
        Preprocessor(Preprocess(size=(8, 8)))(array)
    assert str(array.shape) in str(caught.value)


def test_a_crop_larger_than_what_it_is_cut_from_is_refused():
    with pytest.raises(BadInput, match="resize_to"):
        Preprocessor(Preprocess(size=(64, 64), resize="crop", resize_to=32))


def make(inputs, **section):
    return ModelCard(
        task="classification",
        inputs=inputs,
        preprocess=Preprocess(**{"size": (32, 64), **section}),
        postprocess=Postprocess(decode="softmax"),
    )


def test_the_image_input_is_the_one_of_four_axes():
    image, other = TensorCard(shape=("batch", 3, 32, 64)), TensorCard(shape=("batch", 4))
    assert image_input(make({"a": other, "x": image})) == ("x", image)
    assert image_input(make({})) is None
    with pytest.raises(BadInput, match=r"a \[batch, 4\]"):
        image_input(make({"a": other}))
    with pytest.raises(BadInput, match="one image input"):
        image_input(make({"x": image, "y": image}))


def test_the_inputs_layout_is_followed():
    tensor = TensorCard(shape=(1, 32, 64, 3), layout="NHWC")
    array, _ = preprocessor(make({"x": tensor}))(noise(8, 8))
    assert array.shape == (1, 32, 64, 3)


@pytest.mark.parametrize("colour", ["RGB", "BGR", "GRAY"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
def test_a_uint8_input_gets_the_pixels_as_they_were_resized(colour, layout, resize):
    image = noise(30, 20)
    section = Preprocess(size=(12, 16), colour=colour, resize=resize)
    pixels, fit = Preprocessor(section, layout, "uint8")(image)
    numbers, same = Preprocessor(section, layout)(image)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, numbers)
    assert fit == same


@pytest.mark.parametrize("colour", ["BGR", "GRAY"])
def test_a_uint8_input_is_no_view_of_the_callers_picture(colour):
    image = noise(12, 16)
    pixels, _ = Preprocessor(Preprocess(size=(12, 16), colour=colour), "NHWC", "uint8")(image)
    assert not np.shares_memory(pixels, image)


@pytest.mark.parametrize(
    ("tensor", "section", "words"),
    [
        (TensorCard(shape=(1, 32, 64, 3)), {}, "axis C"),
        (TensorCard(shape=(1, 3, 64, 32)), {}, "axis H"),
        (TensorCard(shape=(1, 3, "h", 32)), {}, "axis W"),
        (TensorCard(shape=(1, 3, 32, 64)), {"colour": "GRAY"}, "axis C"),
        (TensorCard(shape=(1, 3, 32, 64), layout="CNHW"), {}, "CNHW"),
        (TensorCard(shape=(1, 3, 32, 64), dtype="uint8"), {"scale": 1 / 255}, "uint8"),
        (TensorCard(shape=(1, 3, 32, 64), dtype="uint8"), {"mean": (0, 0, 1)}, "uint8"),
        (TensorCard(shape=(1, 3, 32, 64), dtype="float16"), {}, "float16"),
    ],
)
def test_preprocessing_that_contradicts_the_input_is_refused(tensor, section, words):
    with pytest.raises(BadInput, match=words):
        preprocessor(make({"x": tensor}, **section))


def plainly(section, layout, image):
    """Resize, pad, normalise: an array a step."""
    image = (
        image if section.colour != "GRAY" else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    )
    (height, width), (rows, columns) = image.shape[:2], section.size
    ratio = min(rows / height, columns / width)
    new = max(1, round(height * ratio)), max(1, round(width * ratio))
    if new != (height, width):
        image = cv2.resize(image, new[::-1]).reshape(*new, -1)
    canvas = np.full((rows, columns, image.shape[2]), section.pad, np.uint8)
    top, left = (rows - new[0]) // 2, (columns - new[1]) // 2
    canvas[top : top + new[0], left : left + new[1]] = image
    ordered = canvas[..., ::-1] if section.colour == "RGB" else canvas
    levels = np.arange(256)[:, None] * section.scale
    levels = (levels - section.mean[: image.shape[2]]) / section.std[: image.shape[2]]
    numbers = np.take_along_axis(levels, ordered.reshape(-1, image.shape[2]).astype(int), 0)
    numbers = numbers.reshape(ordered.shape).astype(np.float32)
    return numbers if layout == "NHWC" else numbers.transpose(2, 0, 1)


@settings(max_examples=60, deadline=None)
@given(
    images=st.lists(sides, min_size=1, max_size=4),
    size=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    colour=st.sampled_from(["RGB", "BGR", "GRAY"]),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    numbers=st.sampled_from(
        [
            {},
            {"scale": 1 / 255},
            {"scale": 1 / 255, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)},
        ]
    ),
)
def test_images_of_any_size_in_turn_fill_a_buffer_that_is_used_again(
    images, size, colour, layout, numbers
):
    channels = 1 if colour == "GRAY" else 3
    numbers = {
        key: value[:channels] if isinstance(value, tuple) else value
        for key, value in numbers.items()
    }
    section = Preprocess(size=size, colour=colour, resize="letterbox", **numbers)
    made = Preprocessor(section, layout)
    out = np.full_like(made(noise(5, 5))[0], np.nan)
    for seed, shape in enumerate(images):
        image = noise(*shape, seed=seed)
        before = image.copy()
        array, _ = made(image, out)
        assert array is out
        assert np.array_equal(out[0], plainly(section, layout, image))
        assert np.array_equal(image, before)


def test_what_was_returned_stays_when_another_image_follows():
    made = Preprocessor(Preprocess(size=(16, 16)), "NHWC", "uint8")
    image = noise(16, 16)
    array, _ = made(image)
    made(noise(30, 20, seed=1))
    assert np.array_equal(array[0], image[..., ::-1])
    assert not np.shares_memory(array, image)


def test_threads_do_not_meet_in_each_others_pictures():
    made = Preprocessor(Preprocess(size=(48, 64), scale=1 / 255))
    images = [noise(90 + seed, 120, seed=seed) for seed in range(4)]
    expected = [made(image)[0] for image in images]

    def same(index):
        return all(np.array_equal(made(images[index])[0], expected[index]) for _ in range(50))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(same, range(4)))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 3, 16, 15), np.float32),
        np.zeros((1, 3, 16, 16), np.uint8),
        np.zeros((1, 16, 16, 3), np.float32).transpose(0, 3, 1, 2),
    ],
)
def test_a_buffer_that_does_not_fit_is_refused(out):
    with pytest.raises(BadInput, match="does not fit an input of"):
        Preprocessor(Preprocess(size=(16, 16)))(noise(8, 8), out)

"""What is drawn can be found again on the picture."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.draw import class_colour, draw
from edgekit.tasks.marks import _ascii, _ink
from edgekit.tasks.predictions import (
    BoxPrediction,
    ClassPrediction,
    Detection,
    MaskPrediction,
    RawPrediction,
    Timings,
)

TIMES = Timings(0, 0, 0, 0)
GREY = np.full((300, 400, 3), 128, np.uint8)


def boxes(*found, size=(300, 400)):
    return BoxPrediction(tuple(Detection(*one) for one in found), size, TIMES)


def near(picture, colour):
    return np.abs(picture.astype(int) - colour).max(axis=-1) < 12


def test_a_box_stands_where_it_was_found_in_its_classes_colour():
    drawn = draw(GREY, boxes(("cat", 3, 0.9, (100.0, 80.0, 300.0, 250.0))))
    rows, columns = np.nonzero(near(drawn, class_colour(3)))
    # The label's box stands on the upper edge.
    assert (columns.min(), columns.max()) == pytest.approx((100, 300), abs=3)
    assert rows.max() == pytest.approx(250, abs=3)
    assert near(drawn[80:250, 100], class_colour(3)).mean() > 0.95
    assert (drawn[150:200, 150:250] == 128).all()
    assert (GREY == 128).all()


@pytest.mark.parametrize(
    "box",
    [
        (-1e9, -1e9, 1e9, 1e9),
        (0.0, 0.0, 400.0, 300.0),
        (390.0, 290.0, 399.0, 299.0),
        (-50.0, -50.0, -10.0, -10.0),
    ],
)
def test_a_box_at_or_beyond_the_edge_keeps_its_label_inside(box):
    drawn = draw(GREY, boxes(("a long label of a class", 0, 0.5, box)))
    assert drawn.shape == GREY.shape
    # Dark or light letters on the colour of the class.
    assert near(drawn, class_colour(0)).sum() > 500
    assert near(drawn, _ink(class_colour(0))).sum() > 30


@pytest.mark.parametrize("level", [0, 128, 255])
def test_letters_stand_out_on_every_background(level):
    background = np.full((300, 400, 3), level, np.uint8)
    for index in range(24):
        tint = class_colour(index)
        luma = np.dot(tint, (0.114, 0.587, 0.299))
        assert abs(luma - np.mean(_ink(tint))) > 80
    drawn = draw(background, boxes(("cat", 5, 0.9, (100.0, 80.0, 300.0, 250.0))))
    assert near(drawn, class_colour(5)).sum() > 500


def test_colours_of_classes_differ():
    colours = [class_colour(index) for index in range(80)]
    assert len(set(colours)) == 80
    apart = [np.abs(np.subtract(one, other)).max() for one, other in itertools.pairwise(colours)]
    assert min(apart) > 60


def test_a_banner_stands_above_the_image_which_stays_as_it_is():
    made = ClassPrediction(np.array([0.1, 0.9], np.float32), ("cat", "dog"), (300, 400), TIMES)
    drawn = draw(GREY, made)
    assert drawn.shape[0] > 300
    assert drawn.shape[1] == 400
    assert np.array_equal(drawn[-300:], GREY)
    assert drawn[:-300].max() > 200


def test_a_small_image_is_enlarged_until_words_fit():
    made = ClassPrediction(np.array([1.0], np.float32), ("seven",), (8, 8), TIMES)
    drawn = draw(np.zeros((8, 8), np.uint8), made)
    assert drawn.shape[1] == 160
    box = boxes(("x", 0, 0.5, (2.0, 2.0, 6.0, 6.0)), size=(8, 8))
    columns = np.nonzero(near(draw(np.zeros((8, 8), np.uint8), box), class_colour(0)))[1]
    assert columns.max() == pytest.approx(120, abs=3)


def test_a_mask_is_laid_over_the_image_and_the_background_is_not():
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 100:200] = 2
    made = MaskPrediction(mask, ("background", "car", "cat"), (300, 400), TIMES)
    drawn = draw(GREY, made)
    assert (drawn[:300][mask == 0] == 128).all()
    expected = 0.45 * 128 + 0.55 * np.array(class_colour(2))
    assert np.abs(drawn[150, 150] - expected).max() <= 1
    assert near(drawn[300:], class_colour(2)).sum() > 20  # its swatch in the legend


def test_an_image_of_another_size_is_refused():
    with pytest.raises(BadInput, match=r"\(300, 400\)"):
        draw(GREY[:200], boxes())
    with pytest.raises(BadInput, match="without a task"):
        draw(GREY, RawPrediction({}, TIMES))


def test_labels_that_old_fonts_lack_are_written_plainly():
    assert _ascii("Café Übel") == "Cafe Ubel"
    assert _ascii("犬") == "?"


def test_a_picture_in_rgb_is_drawn_in_bgr():
    red = np.zeros((300, 400, 3), np.uint8)
    red[..., 0] = 255
    assert cv2.countNonZero(draw(red, boxes(), colour="RGB")[..., 2]) == 300 * 400

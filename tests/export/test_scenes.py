"""The scenes that `edgekit:shapes` is trained and scored on hold what they are said to hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.errors import BadInput
from edgekit.export.builtin.catalogue import builtin_card, write_data
from edgekit.export.builtin.scenes.dataset import SEEDS
from edgekit.export.builtin.scenes.figures import CLASSES, FONTS, SHAPES, outline
from edgekit.export.builtin.scenes.scene import LARGEST, SIZE, SMALLEST, VISIBLE, draw_scene
from edgekit.export.builtin.train_shapes import FIRST_SEED
from edgekit.tasks.datasets import open_dataset

COUNT = 200


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene(seed) for seed in range(COUNT)]


def test_a_scene_has_eight_objects_on_average_of_all_classes_evenly(scenes):
    counts = [len(scene.classes) for scene in scenes]
    assert 7.5 <= np.mean(counts) <= 8.5
    by_class = np.bincount(np.concatenate([scene.classes for scene in scenes]), minlength=20)
    assert len(by_class) == len(CLASSES) == 20
    assert by_class.min() > by_class.mean() / 2


def test_objects_are_12_to_200_pixels_long_and_small_and_large_ones_are_common(scenes):
    boxes = np.concatenate([scene.boxes for scene in scenes])
    length = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert length.min() >= SMALLEST
    assert length.max() <= LARGEST
    assert (length < 32).mean() > 0.2
    assert (length > 96).mean() > 0.1
    assert boxes.min() >= 0
    assert boxes.max() <= 320


def test_up_to_60_percent_of_an_object_may_be_hidden_and_many_are(scenes):
    shown = np.concatenate([scene.shown for scene in scenes])
    assert VISIBLE <= shown.min() < VISIBLE + 0.05
    assert shown.max() <= 1
    assert (shown < 0.95).mean() > 0.2


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    height=st.integers(64, 400),
    width=st.integers(64, 400),
)
def test_any_seed_and_size_gives_a_scene_whose_boxes_hold_their_objects(seed, height, width):
    scene = draw_scene(seed, (height, width))
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    assert (scene.areas > 0).all()
    assert (scene.areas <= sides.prod(axis=1)).all()
    assert (scene.boxes[:, :2] >= 0).all()
    assert (scene.boxes[:, 2:] <= (width, height)).all()
    again = draw_scene(seed, (height, width))
    assert np.array_equal(scene.image, again.image)
    assert np.array_equal(scene.boxes, again.boxes)


def test_what_lies_in_a_box_can_be_told_from_what_lies_around_it(scenes):
    """A box that is off its object would not differ from its surroundings."""
    differs = 0
    whole = [
        (scene, box.astype(int))
        for scene in scenes
        for box, shown, area in zip(scene.boxes, scene.shown, scene.areas, strict=True)
        if shown > 0.99 and area > 400
    ]
    for scene, (x1, y1, x2, y2) in whole:
        inside = scene.image[y1:y2, x1:x2].reshape(-1, 3).astype(float)
        around = scene.image[max(y1 - 8, 0) : y2 + 8, max(x1 - 8, 0) : x2 + 8]
        border = around.reshape(-1, 3).astype(float)
        outside = (border.sum(0) - inside.sum(0)) / max(1, len(border) - len(inside))
        differs += np.abs(inside.mean(0) - outside).max() > 8
    assert len(whole) > 100
    assert differs / len(whole) > 0.85


@pytest.mark.parametrize("index", range(len(CLASSES)))
def test_every_figure_fills_its_square_at_every_height(index):
    for pixels in (12, 40, 100, 200):
        for font in range(len(FONTS) if index >= len(SHAPES) else 1):
            mask = outline(index, font, pixels)
            _, _, width, height = cv2.boundingRect((mask > 127).view(np.uint8))
            assert mask.shape[0] >= pixels
            assert max(width, height) >= 0.9 * mask.shape[0]
            assert 0.1 < (mask > 127).mean() < 1.01


def test_classes_look_different_from_each_other():
    masks = [outline(index, 1, 64).astype(float) / 255 for index in range(len(CLASSES))]
    for first in range(len(masks)):
        for second in range(first):
            both = np.minimum(masks[first], masks[second]).sum()
            either = np.maximum(masks[first], masks[second]).sum()
            assert both / either < 0.93, (CLASSES[first], CLASSES[second])


def test_the_card_names_the_classes_in_their_order():
    assert builtin_card("shapes").labels == CLASSES
    assert builtin_card("shapes").preprocess.size == SIZE


def test_training_draws_from_other_seeds_than_any_data_set():
    assert FIRST_SEED >= SEEDS


def test_the_data_set_is_written_as_coco_with_its_roles(tmp_path):
    roles = write_data("shapes", tmp_path, count=6, seed=3)
    assert roles == {"calib": 100, "eval": 6}
    content = json.loads((tmp_path / "instances.json").read_text())
    assert [one["name"] for one in content["categories"]] == list(CLASSES)
    assert len({one["id"] for one in content["annotations"]}) == len(content["annotations"])
    data = open_dataset(tmp_path, builtin_card("shapes"))
    assert data.split == "role"
    assert len(data.evaluation()) == 6
    assert len(data.calibration()) == 100
    first = data.evaluation()[0]
    picture = cv2.imread(str(first.path))
    assert picture.shape == (320, 320, 3)
    assert first.answer.classes.size > 0


def test_another_seed_gives_other_scenes_and_the_same_seed_the_same(tmp_path):
    def written(name, **options):
        folder = tmp_path / name
        folder.mkdir()
        write_data("shapes", folder, count=2, **options)
        files = sorted((folder / "images").glob("eval-*"))
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    same, zero, other = written("a"), written("b", seed=0), written("c", seed=1)
    assert same == zero
    assert not set(same) & set(other)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shapes", {"count": 2**20}, "At most 524288 scenes"),
        ("shapes", {"seed": 2**20}, "The seed of scenes is at most 4095"),
        ("digits", {"count": 501}, "There are 500 digits"),
        ("digits", {"seed": 1}, "always the same"),
    ],
)
def test_what_a_data_set_cannot_give_is_refused(tmp_path, name, options, message):
    with pytest.raises(BadInput, match=message):
        write_data(name, tmp_path, **options)


def test_fewer_digits_are_written_where_fewer_are_asked_for(tmp_path):
    assert write_data("digits", tmp_path, count=7) == {"calib": 100, "eval": 7}


def test_scenes_are_drawn_without_torch():
    script = (
        "import sys; from edgekit.export.builtin.scenes.scene import draw_scene; draw_scene(0); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

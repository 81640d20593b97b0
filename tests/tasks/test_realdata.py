"""The real cards, images and labels; preprocessing against pipelines written apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekit.tasks.cards import dump_card, find_card, read_card
from edgekit.tasks.datasets import open_dataset, readable
from edgekit.tasks.preprocess import image_input
from edgekit.tasks.registry import task_for
from edgekit.tasks.samples import feeds

pytestmark = pytest.mark.realdata

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def centre_crop(image):
    height, width = image.shape[:2]
    top, left = (height - 224) // 2, (width - 224) // 2
    return image[top : top + 224, left : left + 224, ::-1] / 255


def squeezenet(image):
    return (centre_crop(image) - MEAN) / STD


def fastestdet(image):
    return cv2.resize(image, (352, 352)) / 255


def yolox(image):
    height, width = image.shape[:2]
    ratio = min(416 / height, 416 / width)
    small = cv2.resize(image, (int(width * ratio), int(height * ratio)))
    padded = np.full((416, 416, 3), 114.0)
    padded[: small.shape[0], : small.shape[1]] = small
    return padded


def espnet(image):
    return (cv2.resize(image[..., ::-1].copy(), (384, 384)) / 255 - MEAN) / STD


MODELS = {
    "squeezenet1_1.pth": ("imagenet", squeezenet, "role", (100, 400)),
    "darknet_tiny.pt2": ("imagenet", centre_crop, "role", (100, 400)),
    "fastestdet.pt2": ("coco/val", fastestdet, "folder", (64, 64)),
    "yolox_nano.pt2": ("coco/val", yolox, "folder", (64, 64)),
    "yolox_nano_original.onnx": ("coco/val", yolox, "folder", (64, 64)),
    "espnetv2_s1.0_voc.pt2": ("coco/val", espnet, "folder", (64, 50)),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_card_opens_its_data_and_makes_the_published_numbers(realdata, name):
    folder, pipeline, split, counts = MODELS[name]
    path = find_card(realdata / "models" / name)
    card = read_card(path)
    task = task_for(card, folder=path.parent, trust_code=True)
    calibration = realdata / "coco" / "calib" if split == "folder" else None
    data = open_dataset(realdata / folder, card, calibration=calibration)
    assert (data.split, data.labelled) == (split, True)
    assert (len(data.calibration()), len(data.evaluation())) == counts
    name, _ = image_input(card)
    for example in readable([*data.evaluation()[:4], *data.calibration(4)]):
        fed, fit = feeds(example, task, name)
        expected = pipeline(example.image).transpose(2, 0, 1)[None]
        assert fed[name].shape == expected.shape
        assert np.abs(fed[name] - expected).max() < 1e-5
        assert fit.image == example.image.shape[:2]


@pytest.mark.parametrize("name", MODELS)
def test_each_card_survives_being_written(realdata, tmp_path, name):
    card = read_card(find_card(realdata / "models" / name))
    (tmp_path / "m.card.yaml").write_text(dump_card(card), encoding="utf-8")
    assert read_card(tmp_path / "m.card.yaml") == card


def test_the_truths_are_those_of_the_files(realdata):
    models = realdata / "models"
    coco = open_dataset(realdata / "coco" / "val", read_card(models / "yolox_nano.card.yaml"))
    assert sum(len(sample.truth.boxes) for sample in coco.samples) == 461
    assert coco.samples[0].truth.classes[0] == 58
    card = read_card(models / "espnetv2_s1.0_voc.card.yaml")
    masks = open_dataset(realdata / "coco" / "val", card)
    values = {int(v) for each in readable(masks.evaluation()) for v in np.unique(each.truth)}
    assert values <= {*range(21), 255}
    assert {0, 15} <= values

"""Pictures, cards and data sets small enough to write in every test."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from edgekit.core.card import card_from_dict


@pytest.fixture
def picture():
    """Write a picture of (height, width) noise and return its path."""

    def write(path, height=12, width=16, seed=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
        assert cv2.imwrite(str(path), pixels)
        return path

    return write


@pytest.fixture
def card():
    """Make a card of a task with labels; keys of `preprocess` and `postprocess` by dict."""

    def make(task, labels=(), *, preprocess=None, postprocess=None, **keys):
        decodes = {"classification": "softmax", "detection": "yolox", "segmentation": "argmax"}
        content = {"schema": "edgekit.card/1", "task": task, "labels": list(labels), **keys}
        if task in decodes:
            content["preprocess"] = {"size": [32, 32], **(preprocess or {})}
            content["postprocess"] = {"decode": decodes[task], **(postprocess or {})}
        return card_from_dict(content, "test")

    return make


@pytest.fixture
def coco(tmp_path, picture):
    """Write a COCO data set of `count` images; `change` edits the document first."""

    def write(count=4, names=("cat", "dog"), ids=None, change=lambda document: None):
        ids = ids or list(range(len(names)))
        document = {
            "images": [{"id": 10 + i, "file_name": f"{i}.png"} for i in range(count)],
            "annotations": [
                {"image_id": 10 + i, "category_id": ids[i % len(ids)], "bbox": [1, 2, 3, 4]}
                for i in range(count)
            ],
            "categories": [{"id": i, "name": name} for i, name in zip(ids, names, strict=True)],
        }
        for i in range(count):
            picture(tmp_path / "coco" / "images" / f"{i}.png", seed=i)
        change(document)
        (tmp_path / "coco" / "instances.json").write_text(json.dumps(document))
        return tmp_path / "coco"

    return write

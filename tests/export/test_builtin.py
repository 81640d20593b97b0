"""The built-in model and its data."""

from __future__ import annotations

import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.source import Source
from edgekit.export.builtin import train_digits
from edgekit.export.builtin.catalogue import BUILTIN, builtin, builtin_card, write_data
from edgekit.export.builtin.digits import ARCHIVE
from edgekit.export.load import load_source
from edgekit.export.reference import open_reference
from edgekit.tasks.preprocess import preprocessor


def test_the_digits_are_recognised_through_the_cards_own_preprocessing(tmp_path):
    counts = write_data("digits", tmp_path)
    assert counts == train_digits.SPLIT
    with open(tmp_path / "labels.csv", newline="") as table:
        rows = list(csv.DictReader(table))
    scored = [row for row in rows if row["role"] == "eval"]
    assert len(rows) == sum(counts.values())
    assert len(scored) == counts["eval"]
    card = builtin_card("digits")
    lay = preprocessor(card)
    images = np.concatenate([lay(cv2.imread(str(tmp_path / row["file"])))[0] for row in scored])
    session = open_reference(Source.parse("edgekit:digits"), card)["main"]
    answers = session.run({"image": images})["logits"].argmax(1)
    truth = np.array([int(row["class_index"]) for row in scored])
    assert (answers == truth).mean() >= 0.97
    assert np.allclose(
        images[:50],
        train_digits.network_input(np.load(ARCHIVE)["images"][100:150]),
        atol=1e-6,
    )


def test_what_ships_is_what_the_script_makes_and_the_parts_are_disjoint():
    parts = train_digits.load_digits()
    assert sum(len(labels) for _, labels in parts.values()) == 1797
    with np.load(ARCHIVE) as data:
        for role, (images, labels) in parts.items():
            chosen = data["roles"] == role
            assert int(chosen.sum()) == train_digits.SPLIT.get(role, 0)
            if role != "train":
                assert np.array_equal(data["images"][chosen], images)
                assert np.array_equal(data["labels"][chosen], labels)
    seen = {image.tobytes() for image in parts["train"][0]}
    unseen = [image.tobytes() for role in train_digits.SPLIT for image in parts[role][0]]
    assert not seen & set(unseen)
    assert len(set(unseen)) == len(unseen)


@pytest.mark.slow
def test_training_again_gives_the_same_weights():
    threads = torch.get_num_threads()
    try:
        network = train_digits.train(*train_digits.load_digits()["train"])
    finally:
        torch.set_num_threads(threads)
    shipped = load_file(builtin("digits").weights)
    for name, value in network.state_dict().items():
        assert torch.allclose(value, shipped[name], atol=1e-3), name


def test_lenet_has_the_parameters_of_its_paper():
    module = load_source(Source.parse("edgekit:digits"))["main"].module
    layers = {}
    for name, parameter in module.named_parameters():
        layer = name.split(".")[0]
        layers[layer] = layers.get(layer, 0) + parameter.numel()
    # C3 sees all maps here: 2,416 instead of the paper's 1,516.
    assert layers == {"c1": 156, "c3": 2416, "c5": 48120, "f6": 10164, "output": 850}


def test_every_built_in_is_whole():
    for name, entry in BUILTIN.items():
        assert entry.name == name
        assert isinstance(builtin_card(name), ModelCard)
        assert entry.weights.is_file()
    with pytest.raises(BadInput, match="'dgits'"):
        builtin("dgits")


def test_the_catalogue_imports_without_torch():
    script = (
        "import sys; import edgekit.export.builtin.catalogue; "
        "sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""The network of `edgekit:shapes`, its loss and its training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekit.export.builtin import train_shapes
from edgekit.export.builtin.catalogue import builtin, builtin_card
from edgekit.export.builtin.shapes_loss import detection_loss
from edgekit.export.builtin.shapes_network import STRIDES, shapes_network
from edgekit.tasks.heads import HEADS


def anchors(height, width):
    return sum(-(-height // stride) * -(-width // stride) for stride in STRIDES)


def test_it_has_a_million_parameters_or_fewer_and_ships_in_a_few_megabytes():
    assert sum(one.numel() for one in shapes_network().parameters()) <= 1_000_000
    assert builtin("shapes").weights.stat().st_size < 5_000_000


@pytest.mark.parametrize("size", [(320, 320), (384, 640), (97, 131), (64, 64)])
def test_it_takes_any_height_and_width(size):
    network = shapes_network().eval()
    with torch.inference_mode():
        found = network(torch.rand(2, 3, *size))
    assert found.shape == (2, 24, anchors(*size))


def maps_for(box, label, size=96, sure=8.0):
    """What a network would return that sees one object exactly."""
    maps = []
    for stride in STRIDES:
        cells = size // stride
        scores = torch.full((1, 20, cells, cells), -sure)
        scores[0, label] = sure
        y, x = torch.meshgrid(torch.arange(cells) + 0.5, torch.arange(cells) + 0.5, indexing="ij")
        x1, y1, x2, y2 = (value / stride for value in box)
        maps.append((scores, torch.stack([x - x1, y - y1, x2 - x, y2 - y])[None]))
    return maps


def loss_of(maps, box, label):
    boxes = torch.tensor([[box, (0, 0, 0, 0)]], dtype=torch.float32)
    return float(detection_loss(maps, boxes, torch.tensor([[label, -1]])))


def test_the_loss_is_least_for_the_right_box_and_class():
    box = (16.0, 24.0, 64.0, 60.0)
    right = loss_of(maps_for(box, 3), box, 3)
    for off in (1, 3, 8):
        moved = tuple(value + off for value in box)
        assert loss_of(maps_for(moved, 3), box, 3) > right
    assert loss_of(maps_for(box, 4), box, 3) > right


def test_an_object_smaller_than_a_cell_is_learned_too():
    """Half a cell wide, between two anchors: one of them answers for it, and gets a gradient."""
    box = (17.0, 17.0, 20.0, 27.0)
    maps = maps_for((15.0, 15.0, 22.0, 28.0), 3, sure=1.0)
    edges = maps[0][1].requires_grad_()
    loss = detection_loss(maps, torch.tensor([[box]]), torch.tensor([[3]]))
    loss.backward()
    assert edges.grad.abs().sum() > 0


def test_a_scene_without_objects_has_a_loss_of_its_scores_alone():
    quiet = maps_for((0.0, 0.0, 8.0, 8.0), 3, sure=-8.0)
    for scores, _ in quiet:
        scores.fill_(-8.0)
    boxes, classes = torch.zeros(1, 1, 4), torch.full((1, 1), -1)
    silent = float(detection_loss(quiet, boxes, classes))
    for scores, _ in quiet:
        scores.fill_(2.0)
    assert 0 <= silent < float(detection_loss(quiet, boxes, classes))


def test_what_training_and_the_finished_network_say_of_a_box_is_the_same():
    box = (16.0, 24.0, 64.0, 60.0)
    network = shapes_network().eval()
    found = [
        network._boxes(edges, stride)
        for (_, edges), stride in zip(maps_for(box, 3), STRIDES, strict=True)
    ]
    rows = torch.cat([torch.cat(found, 2), torch.ones(1, 20, anchors(96, 96))], 1).numpy()
    boxes, *_ = HEADS["yolov8"].read({"detections": rows}, (96, 96), -np.inf)
    assert np.allclose(boxes, box, atol=1e-4)


def test_training_goes_on_from_a_checkpoint(tmp_path, monkeypatch, capsys):
    """Two and two steps, one process; the second run begins where the first one ended."""
    monkeypatch.setattr(train_shapes, "_BATCH", 2)
    monkeypatch.setattr(train_shapes, "_WARM_UP", 1)
    monkeypatch.setattr(train_shapes, "_NOTE_EVERY", 1)
    threads = torch.get_num_threads()
    checkpoint = tmp_path / "checkpoint"
    try:
        for steps in (2, 4):
            train_shapes.train(0, 1, steps, checkpoint)
            (tmp_path / "checkpoint.meeting").unlink(missing_ok=True)
    finally:
        torch.set_num_threads(threads)
    noted = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()]
    assert noted == ["1/2", "2/2", "3/4", "4/4"]
    weights = train_shapes.averaged(checkpoint)
    network = shapes_network()
    network.load_state_dict(weights)
    assert all(value.isfinite().all() for value in weights.values())


def test_the_card_and_the_network_agree():
    card = builtin_card("shapes")
    assert len(card.labels) == 20
    assert card.outputs["detections"].shape[1] == 4 + len(card.labels)

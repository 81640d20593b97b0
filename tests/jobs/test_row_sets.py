"""Exports of networks that choose rows: order among equal scores is no difference, rows are."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit import api
from edgekit.benchmarks.certificate import check_parity
from edgekit.core.card import ModelCard
from edgekit.core.parity import TensorParity
from edgekit.export.metadata import read_card
from edgekit.jobs.steps.export import output_parity

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


class Chooser(torch.nn.Module):
    """Boxes, scores and classes of the best of 64 places, many of whose scores are equal."""

    def __init__(self, count):
        super().__init__()
        torch.manual_seed(0)
        self.boxes = torch.nn.Linear(16, 4)
        self.count = count
        # Scores in runs of 8, so that a top-k of 16 or 24 cuts between two runs.
        self.register_buffer("scores", (torch.randperm(64) // 8).float() / 8)

    def forward(self, features):
        scores, places = (self.scores + 0 * features[..., 0]).topk(self.count, dim=1)
        boxes = self.boxes(features).gather(1, places[..., None].expand(-1, -1, 4))
        return boxes, scores, places % 7


def exported(folder, count):
    program = torch.export.export(Chooser(count).eval(), (torch.rand(1, 64, 16),))
    torch.export.save(program, folder / "net.pt2")
    return api.export(folder / "net.pt2", folder / "net.onnx")


def test_rows_with_equal_scores_are_compared_as_a_set(tmp_path):
    # Red where outputs are compared as they stand: 1 dB and FAIL for a right graph.
    document = exported(tmp_path, 16)
    assert document.verdict == "PASS"
    assert {one.unjudged for one in document.parity} == {0}
    moved = max(one.moved for one in document.parity)
    assert any("where scores tie" in note for note in document.notes) == (moved > 0)
    assert read_card(tmp_path / "net.onnx").rows == tuple(one.output for one in document.parity)


def test_which_of_equal_scores_come_last_is_never_a_fail(tmp_path):
    document = exported(tmp_path, 20)
    unjudged = max(one.unjudged for one in document.parity)
    assert document.verdict == ("UNVERIFIED" if unjudged else "PASS")


def rows(count=16, seed=0):
    random = np.random.default_rng(seed)
    scores = np.repeat(np.linspace(0.9, 0.1, count // 4), 4)[None]
    return {"boxes": random.uniform(0, 100, (1, count, 4)), "scores": scores}


def check(got, card):
    runs = [{"main": [({}, each)]} for each in (rows(), got)]
    parity = {one.output: one for one in output_parity(*runs, card)}
    figures = {
        name: TensorParity(
            one.max_abs or 0, one.max_rel or 0, one.cosine, one.sqnr_db, True, one.moved,
            one.unjudged,
        )
        for name, one in parity.items()
    }  # fmt: skip
    return check_parity(figures, "fp32", "fp32")


@pytest.mark.parametrize("names", [(), ("boxes", "scores")])
def test_the_certificate_says_how_rows_were_compared(names):
    card = ModelCard(rows=names)
    turned = {name: array[:, [1, 0, 3, 2, *range(4, 16)]] for name, array in rows().items()}
    found = check(turned, card)
    assert found.verdict == ("PASS" if names else "FAIL")
    assert ("4 with the row of another place" in found.reason) == bool(names)
    assert found.details["outputs"]["boxes"]["moved"] == (4 if names else 0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda call: {**call, "boxes": rows(seed=1)["boxes"]},
        lambda call: {**call, "boxes": call["boxes"][:, ::-1]},
        lambda call: {name: array[:, ::-1] for name, array in call.items()},
        lambda call: {**call, "scores": call["scores"] * 0.9},
        lambda call: {**call, "boxes": call["boxes"] + [[[0, 0, 0, 1]]]},
    ],
    ids=["other boxes", "torn apart", "wrong order", "other scores", "shifted"],
)
def test_rows_that_are_wrong_fail(wrong):
    assert check(wrong(rows()), ModelCard(rows=("boxes", "scores"))).verdict == "FAIL"

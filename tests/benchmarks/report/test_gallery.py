"""Both answers to an image, side by side, drawn and in words."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from edgekit.benchmarks.report.gallery import gallery, picture_ids
from edgekit.core.details import BoxAnswer, ClassAnswer, MaskAnswer


@pytest.fixture
def cards(make):
    def shown(task, *, pictures=None, answer=None, reference=None, labels=("cat", "dog", "cow")):
        entry = make["entry"]("int8-u8s8")
        details = make["details"]([entry], task)
        (name,) = details.entries
        (image,) = details.images
        if answer is not None:
            one = details.entries[name]
            changed = msgspec.structs.replace(one.differing[0], answer=answer)
            details.entries[name] = msgspec.structs.replace(one, differing=(changed,))
        if reference is not None:
            details.images[image] = msgspec.structs.replace(
                details.images[image], reference=reference
            )
        subject = make["subject"]([entry], chosen=0, task=task, labels=labels, details=details)
        subject = dataclasses.replace(subject, pictures=pictures or {})
        return gallery(subject, entry, picture_ids(subject, ""))

    return shown


def test_boxes_that_only_one_side_has_are_told_apart_and_named(cards):
    (card,) = cards("detection")
    fp32, variant = card.panels
    assert [panel.title for panel in card.panels] == ["FP32", "int8-u8s8 in fp32"]
    assert [box.state for box in fp32.boxes] == ["same", "only"]
    assert [box.state for box in variant.boxes] == ["same", "only"]
    assert list(card.sentences) == [
        "Only FP32 finds: dog 0.40.",
        "Only int8-u8s8 in fp32 finds: dog 0.30.",
        "Both find: cat 0.90 → 0.80.",
    ]
    assert card.truth == "1 cat"
    assert card.picture == ""


def test_zero_detections_are_a_sentence(cards):
    (card,) = cards("detection", answer=BoxAnswer(), reference=BoxAnswer())
    assert list(card.sentences) == ["Neither finds anything."]
    assert all(not panel.boxes for panel in card.panels)
    (card,) = cards("detection", answer=BoxAnswer())
    assert card.sentences[0] == "Only FP32 finds: cat 0.90, dog 0.40."


def test_a_box_far_outside_the_image_is_drawn_at_its_edge(cards, make):
    (card,) = cards("detection", answer=make["boxes"]((-1e9, -5, 1e9, 1e9, 0.5, 0)))
    (box,) = card.panels[1].boxes
    assert (box.x, box.y, box.width, box.height) == (0, 0, 64, 48)


def test_probabilities_stand_beside_one_another(cards):
    (card,) = cards("classification")
    assert card.sentences[0] == "FP32 says cat, int8-u8s8 in fp32 dog."
    assert [(one.label, one.reference, one.entry, one.right) for one in card.shares] == [
        ("cat", "60.0 %", "30.0 %", True),
        ("dog", "40.0 %", "70.0 %", False),
    ]
    assert list(card.panels) == []


def test_an_answer_that_is_not_finite_is_said(cards):
    (card,) = cards("classification", answer=ClassAnswer())
    assert card.sentences[0] == "FP32 says cat, int8-u8s8 in fp32 nothing finite."


def test_masks_are_drawn_with_where_they_differ(cards):
    (card,) = cards("segmentation")
    assert [panel.title for panel in card.panels][2] == "where they differ"
    assert all(panel.overlay.startswith("data:image/png;base64,") for panel in card.panels)
    assert card.sentences[0] == "25.0 % of the pixels get another class."
    assert {one.label for one in card.shares} == {"cat", "dog"}


def test_a_damaged_mask_is_a_sentence(cards):
    for png in (b"", b"no png", b"\x89PNG\r\n\x1a\n" + b"\xff" * 40):
        (card,) = cards("segmentation", answer=MaskAnswer(png=png))
        assert "damaged" in card.sentences[0]


def test_answers_of_two_kinds_are_a_sentence(cards):
    (card,) = cards("detection", answer=ClassAnswer())
    assert "different kinds" in card.sentences[0]


def test_a_picture_is_named_once_for_all_who_draw_it(cards, make):
    (card,) = cards("detection", pictures={"street/a.jpg": make["jpeg"]()})
    assert card.picture == "picture-0"

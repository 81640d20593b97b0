from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.core.card import Axis, ModelCard, Postprocess, Preprocess, TensorCard
from edgekit.core.errors import BadInput
from edgekit.tasks.cards import (
    check_labels,
    dump_card,
    find_card,
    override,
    read_card,
    read_labels,
)

BODY = """schema: edgekit.card/1
task: classification
preprocess: {size: [8, 8]}
postprocess: {decode: softmax}
"""


def write(path, text):
    path.write_text(text)
    return path


def test_labels_may_be_a_list_or_a_file_beside_the_card(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "a.names", "cat\ndog\n\n")
    write(tmp_path / "data" / "a.csv", "name,wnid,class_index\ndog,n2,1\ncat,n1,0\n")
    for labels in ("[cat, dog]", "data/a.names", "data/a.csv"):
        path = write(tmp_path / "m.card.yaml", f"{BODY}labels: {labels}\n")
        assert read_card(path).labels == ("cat", "dog")


def test_names_may_be_there_twice_but_indices_may_not(tmp_path):
    assert read_labels(
        write(tmp_path / "a.txt", "crane\ncrane\n").name, tmp_path / "card.yaml"
    ) == ("crane", "crane")
    path = write(tmp_path / "a.csv", "class_index,name\n0,a\n0,b\n")
    with pytest.raises(BadInput, match=r"a\.csv, line 3: class_index 0 is there twice"):
        read_labels(path.name, tmp_path / "card.yaml")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "class_index,name\n0,a\n2,b\n", "no class_index 1"),
        ("a.csv", "class_index,name\n", "no class_index 0"),
        ("a.csv", "index,name\n0,a\n", "no column 'class_index'"),
        ("a.csv", "class_index,name\nzero,a\n", "line 2: class_index 'zero'"),
        ("a.names", "cat\n\ndog\n", "empty line 2"),
        ("a.txt", "", "is empty"),
        ("a.json", "[]", "'.json'"),
    ],
)
def test_a_faulty_labels_file_is_named_with_its_fault(tmp_path, name, text, words):
    with pytest.raises(BadInput) as caught:
        read_labels(write(tmp_path / name, text).name, tmp_path / "card.yaml")
    assert words in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels: gone.names\n", ["gone.names", "labels"]),
        ("labels: [1, 2]\n", ["m.card.yaml", "`labels` entry 0", "Quote"]),
        ("labels: [true, no]\n", ["`labels` entry 0 is bool"]),
        ("labels: 3\n", ["m.card.yaml", "$.labels"]),
        ("lables: [a]\n", ["m.card.yaml", "lables", "Did you mean 'labels'?"]),
        ("labels: [a\n", ["m.card.yaml, line 6", "YAML"]),
        ("labels: !!python/object/apply:os.getcwd []\n", ["m.card.yaml", "!!python"]),
    ],
)
def test_a_faulty_card_is_named_with_its_fault(tmp_path, text, words):
    path = write(tmp_path / "m.card.yaml", BODY + text)
    with pytest.raises(BadInput) as caught:
        read_card(path)
    assert all(word in str(caught.value) for word in words)


def test_a_missing_or_binary_card_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="gone"):
        read_card(tmp_path / "gone.card.yaml")
    (tmp_path / "b.card.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8"):
        read_card(tmp_path / "b.card.yaml")


def test_the_card_is_found_beside_the_model_or_in_its_folder(tmp_path):
    assert find_card(tmp_path / "net.onnx") is None
    path = write(tmp_path / "net.card.yaml", BODY)
    assert find_card(tmp_path / "net.onnx") == path
    (tmp_path / "seq").mkdir()
    assert find_card(tmp_path / "seq") is None
    path = write(tmp_path / "seq" / "card.yaml", BODY)
    assert find_card(tmp_path / "seq") == path


@settings(deadline=None)
@given(
    labels=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), max_size=5
    ),
    scale=st.floats(1e-9, 10),
    top=st.none() | st.integers(1, 64),
)
def test_a_dumped_card_reads_back_equal(tmp_path_factory, labels, scale, top):
    card = ModelCard(
        task="detection",
        labels=tuple(labels),
        inputs={"x": TensorCard(shape=(Axis(name="batch", max=top), 3, "h", 32), layout="NCHW")},
        preprocess=Preprocess(size=(32, 32), resize="letterbox", scale=scale),
        postprocess=Postprocess(decode="decoders.py:mine"),
        provenance={"weights": "none: at all", "note": "ä # no comment"},
    )
    path = tmp_path_factory.mktemp("card") / "m.card.yaml"
    path.write_text(dump_card(card), encoding="utf-8")
    assert read_card(path) == card


def test_options_override_the_card_and_its_sections(tmp_path):
    card = read_card(write(tmp_path / "m.card.yaml", f"{BODY}labels: [a, b]\n"))
    changed = override(card, confidence=0.5, size=[16, 16], labels=["c", "d"], iou=None)
    assert changed.postprocess == Postprocess(decode="softmax", confidence=0.5)
    assert changed.preprocess.size == (16, 16)
    assert changed.labels == ("c", "d")
    assert override(card) == card


def test_an_override_that_is_wrong_is_refused(tmp_path):
    card = read_card(write(tmp_path / "m.card.yaml", BODY))
    with pytest.raises(BadInput, match="Did you mean 'confidence'"):
        override(card, confidense=0.5)
    with pytest.raises(BadInput, match="confidence"):
        override(card, confidence=2)


def test_labels_must_be_as_many_as_the_classes(tmp_path):
    card = read_card(write(tmp_path / "m.card.yaml", f"{BODY}labels: [a, b]\n"))
    check_labels(card, 2)
    check_labels(override(card, labels=[]), 99)
    with pytest.raises(BadInput) as caught:
        check_labels(card, 1000, "m.card.yaml")
    assert all(word in str(caught.value) for word in ("m.card.yaml", "`labels`", "2", "1000"))


def labelled(folder, labels):
    folder.mkdir(exist_ok=True)
    return write(folder / "c.yaml", f"schema: edgekit.card/1\nlabels: {labels}\n")


def test_labels_lie_in_the_cards_folder_or_beside_it(tmp_path):
    (tmp_path / "coco").mkdir()
    write(tmp_path / "coco" / "coco.names", "cat\ndog\n")
    path = labelled(tmp_path / "models", "../coco/coco.names")
    assert read_card(path).labels == ("cat", "dog")
    assert read_card(labelled(tmp_path / "models", tmp_path / "coco" / "coco.names")).labels


@pytest.mark.parametrize("name", ["../../secret.txt", "/etc/passwd.txt", "link.txt"])
def test_labels_that_lead_elsewhere_are_refused_and_not_read(tmp_path, name):
    """They would go into the graph's metadata, and with it wherever the graph goes."""
    write(tmp_path / "secret.txt", "mine\n")
    folder = tmp_path / "a" / "models"
    folder.mkdir(parents=True)
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(BadInput, match="`labels` names .* leads out"):
        read_card(labelled(folder, name))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_card_or_labels_that_are_a_pipe_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "l.txt")
    for path in (tmp_path / "l.txt", labelled(tmp_path, "l.txt")):
        with pytest.raises(BadInput, match="is a pipe"):
            read_card(path)

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.datasets import open_dataset, readable
from edgekit.tasks.registry import task_for
from edgekit.tasks.samples import feeds, load


def ids(samples):
    return [sample.id for sample in samples]


@pytest.fixture
def csv_set(tmp_path, picture):
    """Write labels.csv over pictures 0.png … and return the folder."""

    def write(rows, header="file,class_index,role"):
        for number in range(8):
            picture(tmp_path / "csv" / "images" / f"{number}.png", seed=number)
        (tmp_path / "csv" / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
        return tmp_path / "csv"

    return write


# --- classification ---------------------------------------------------------------------------


def test_labels_csv_gives_classes_and_roles(card, csv_set):
    rows = [f"images/{i}.png,{i % 2},{'calib' if i < 3 else 'eval'}" for i in range(8)]
    data = open_dataset(csv_set(rows), card("classification", "ab"))
    assert (data.split, data.format, data.labelled) == ("role", "labels.csv", True)
    assert sorted(ids(data.calibration())) == [f"images/{i}.png" for i in range(3)]
    assert ids(data.evaluation()) == [f"images/{i}.png" for i in range(3, 8)]
    assert [load(sample).truth for sample in data.evaluation()] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("file,label", "images/0.png,0", "no column 'class_index'"),
        ("name,class_index", "images/0.png,0", "no column 'file'"),
        ("file,class_index", "images/0.png,2", "line 2: class_index 2 is out of range"),
        ("file,class_index", "images/0.png,-1", "line 2: class_index '-1'"),
        ("file,class_index", "images/0.png,cat", "line 2: class_index 'cat'"),
        ("file,class_index", "images/0.png", "line 2: class_index ''"),
        ("file,class_index", "images/gone.png,0", "line 2: the file 'images/gone.png'"),
        ("file,class_index,role", "images/0.png,0,train", "line 2: the role 'train'"),
        ("file,class_index", "images/0.png,0\nimages/0.png,1", "line 3: 'images/0.png' is there"),
        ("file,class_index", "/etc/passwd,0", "line 2 names '/etc/passwd', which leads out"),
        ("file,class_index", "../../x.png,0", "line 2 names '../../x.png', which leads out"),
        ("file,class_index", "images,0", "line 2: the file 'images' is a folder"),
        ("file,class_index", "x" * 5000 + ",0", "line 2: the file"),
        ("file,class_index", "images/0.png," + "1" * 5000, "line 2: class_index '111"),
        ("file,class_index", "images/0.png,\0", "NUL"),
        ('"' * 200_000, "", "labels.csv"),
        ("file,class_index", '"' + "x" * 200_000, "labels.csv, line 2"),
    ],
)
def test_a_faulty_labels_csv_names_the_line(card, csv_set, header, row, words):
    folder = csv_set([row], header)
    with pytest.raises(BadInput) as caught:
        open_dataset(folder, card("classification", "ab"))
    assert words in str(caught.value)
    assert "labels.csv" in str(caught.value)


def class_folders(tmp_path, picture, *names):
    for name in names:
        for number in range(2):
            picture(tmp_path / "set" / name / f"{number}.png")
    return tmp_path / "set"


def truths(data):
    return {sample.id: sample.truth for sample in data.samples}


def test_class_folders_are_matched_by_name_and_not_all_need_be_there(card, tmp_path, picture):
    folder = class_folders(tmp_path, picture, "dog", "cat")
    data = open_dataset(folder, card("classification", ["dog", "bird", "cat"]))
    assert truths(data) == {"cat/0.png": 2, "cat/1.png": 2, "dog/0.png": 0, "dog/1.png": 0}
    assert data.notes == ()


def test_class_folders_of_other_names_are_matched_in_order_and_said_so(card, tmp_path, picture):
    folder = class_folders(tmp_path, picture, "n02", "n01")
    data = open_dataset(folder, card("classification", ["dog", "cat"]))
    assert truths(data)["n01/0.png"] == 0
    assert "in order" in data.notes[0]


def test_class_folders_that_match_nothing_are_refused_with_the_closest_name(
    card, tmp_path, picture
):
    folder = class_folders(tmp_path, picture, "dogs", "cat")
    with pytest.raises(BadInput, match="Did you mean 'dog'"):
        open_dataset(folder, card("classification", ["dog", "bird", "cat"]))


def test_numbered_folders_whose_order_is_not_clear_are_refused(card, tmp_path, picture):
    folder = class_folders(tmp_path, picture, "2", "10")
    with pytest.raises(BadInput, match="numbers"):
        open_dataset(folder, card("classification", ["dog", "cat"]))
    labels = [str(i) for i in range(11)]
    assert truths(open_dataset(folder, card("classification", labels)))["10/0.png"] == 10


def test_plain_images_have_no_truth(card, tmp_path, picture):
    for number in range(4):
        picture(tmp_path / "plain" / f"{number}.png")
    data = open_dataset(tmp_path / "plain", card("classification", "ab"))
    assert not data.labelled
    assert len(data.calibration()) == 1
    assert [sample.truth for sample in data.evaluation()] == [None] * 3


# --- detection --------------------------------------------------------------------------------


def test_coco_boxes_become_corners_with_area_and_crowd(card, coco):
    def change(document):
        document["annotations"] = [
            {"image_id": 10, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 5.5, "iscrowd": 1},
            {"image_id": 10, "category_id": 0, "bbox": [0, 0, 2, 2]},
        ]

    data = open_dataset(coco(change=change), card("detection", ["cat", "dog"]))
    first, second = load(data.samples[0]).truth, load(data.samples[1]).truth
    assert first.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
    assert first.classes.tolist() == [1, 0]
    assert first.areas.tolist() == [5.5, 4]
    assert first.crowd.tolist() == [True, False]
    assert second.boxes.shape == (0, 4)
    assert second.classes.shape == second.crowd.shape == (0,)


def test_coco_categories_are_matched_by_name_else_by_the_order_of_ids(card, coco):
    folder = coco(names=("cat", "dog"), ids=[7, 3])
    data = open_dataset(folder, card("detection", ["dog", "bird", "cat"]))
    assert data.samples[0].truth.classes.tolist() == [2]
    data = open_dataset(folder, card("detection", ["Katze", "Hund"]))
    assert data.samples[0].truth.classes.tolist() == [1]
    assert data.samples[1].truth.classes.tolist() == [0]
    assert data.notes


def test_coco_categories_that_match_nothing_are_refused(card, coco):
    with pytest.raises(BadInput, match="2 classes and the card names 3"):
        open_dataset(coco(), card("detection", ["a", "b", "c"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["annotations"][2].update(image_id=99), "annotation 2 belongs to image 99"),
        (lambda d: d["annotations"][1].update(category_id=9), "annotation 1 has category 9"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, 3]), "$.annotations[1].bbox"),
        (lambda d: d["annotations"][1].pop("bbox"), "$.annotations[1]"),
        (lambda d: d.pop("categories"), "categories"),
        (lambda d: d["images"][3].update(file_name="gone.png"), "lists the image 'gone.png'"),
        (lambda d: d["images"][3].update(file_name="/dev/zero"), "'/dev/zero', which leads out"),
        (
            lambda d: d["images"][3].update(file_name="../../x.png"),
            "'../../x.png', which leads out",
        ),
        (lambda d: d["images"][3].update(file_name="a\0b"), "no text"),
        (lambda d: d["images"][3].update(file_name="x" * 9000), "lists the image 'xxx"),
        (lambda d: d["images"][3].update(id=d["images"][0]["id"]), "two images of one id"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, -3, 4]), "annotation 1 has a box"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, 3, 1e300]), "annotation 1 has a box"),
        (lambda d: d["annotations"][1].update(bbox=[1, 2, 3, float("nan")]), "instances.json"),
        (lambda d: d["annotations"][1].update(bbox=["1", 2, 3, 4]), "$.annotations[1].bbox"),
        (lambda d: d["annotations"][1].update(area=-1), "annotation 1 has an area"),
        (lambda d: d["annotations"][1].update(category_id=10**30), "instances.json"),
        (lambda d: d["images"][3].update(role="x" * 100_000), "$.images[3].role"),
    ],
)
def test_a_faulty_coco_file_names_what_is_wrong(card, coco, change, words):
    with pytest.raises(BadInput) as caught:
        open_dataset(coco(change=change), card("detection", ["cat", "dog"]))
    assert words in str(caught.value)
    assert "instances.json" in str(caught.value)


def test_a_coco_file_cut_short_is_refused(card, coco):
    folder = coco()
    text = (folder / "instances.json").read_text()
    (folder / "instances.json").write_text(text[: len(text) // 2])
    with pytest.raises(BadInput, match=r"instances\.json is no JSON"):
        open_dataset(folder, card("detection", ["cat", "dog"]))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"file_name": "', '"file_name": "gone.png", "file_name": "', "'file_name' twice"),
        ('"bbox": ', '"bbox": [], "bbox": ', "'bbox' twice"),
        ('"bbox": ', f'"outline": {"[" * 100_000}, "bbox": ', "too deeply"),
        ('"categories": ', '"categories": [], "categories": ', "'categories' twice"),
    ],
)
def test_a_coco_file_that_two_readers_would_read_differently_is_refused(
    card, coco, old, new, words
):
    folder = coco()
    path = folder / "instances.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=rf"instances\.json .*{words}"):
        open_dataset(folder, card("detection", ["cat", "dog"]))


def test_what_a_coco_file_says_beside_is_passed_over(card, coco):
    folder = coco(change=lambda d: d["annotations"][0].update(segmentation=[[1.5] * 1000]))
    assert open_dataset(folder, card("detection", ["cat", "dog"])).labelled


@pytest.fixture
def yolo(tmp_path, picture):
    """Write a YOLO data set: data.yaml, two images for training and three to score."""

    def write(yaml="names: [cat, dog]\ntrain: images/train\nval: images/val\n", rows=()):
        root = tmp_path / "yolo"
        for part, count in (("train", 2), ("val", 3)):
            for number in range(count):
                picture(root / "images" / part / f"{number}.png", height=10, width=20)
        (root / "labels" / "val").mkdir(parents=True)
        (root / "labels" / "val" / "0.txt").write_text("\n".join(rows))
        (root / "data.yaml").write_text(yaml)
        return root

    return write


def test_yolo_boxes_are_fractions_of_their_image(card, yolo):
    rows = ["1 0.5 0.5 0.2 0.4", "", "0 0 0 1 0 1 0.5"]
    data = open_dataset(yolo(rows=rows), card("detection", ["dog", "cat"]))
    assert data.split == "role"
    assert sorted(ids(data.calibration())) == ["images/train/0.png", "images/train/1.png"]
    first, second, _ = data.evaluation()
    example = load(first)
    assert example.truth.boxes == pytest.approx(np.array([[8, 3, 12, 7], [0, 0, 20, 5]]))
    assert example.truth.classes.tolist() == [0, 1]
    assert example.truth.areas == pytest.approx([16, 100])
    assert len(load(second).truth.boxes) == 0
    assert first.truth.boxes == pytest.approx(example.truth.boxes)


def test_a_yolo_set_without_its_training_part_is_split(card, yolo):
    folder = yolo("path: /elsewhere\nnames: {0: cat, 1: dog}\ntrain: gone\nval: images/val\n")
    data = open_dataset(folder, card("detection", ["cat", "dog"]))
    assert data.split == "seeded 0.25 seed 0"
    assert len(data.calibration()) == 1
    assert len(data.evaluation()) == 2
    assert "does not exist here" in data.notes[0]


@pytest.mark.parametrize(
    ("yaml", "row", "words"),
    [
        ("names: [a, b]\nval: gone\n", "", "`val` is 'gone'"),
        ("val: images/val\n", "", "`names`"),
        ("names: {a: 1, 2: b}\nval: images/val\n", "", "`names`"),
        ("names: {0: a, '0': b}\nval: images/val\n", "", "`names`"),
        ("names: {0: a, 5: b}\nval: images/val\n", "1 0.5 0.5 0.1 0.1", "`names`"),
        ("names: [a, b\n", "", "line"),
        ("names: [a, b]\n", "", "`val`"),
        (None, "2 0.5 0.5 0.1 0.1", "0.txt, line 1: class 2"),
        (None, "0 0.5 0.5 0.1", "0.txt, line 1: 4 numbers"),
        (None, "cat 0.5 0.5 0.1 0.1", "0.txt, line 1: 'cat"),
        (None, "0 50 50 10 10", "0.txt, line 1: coordinates"),
        (None, "0 nan 0.5 0.1 0.1", "0.txt, line 1: coordinates"),
        (None, "nan 0.5 0.5 0.1 0.1", "0.txt, line 1: class nan"),
        (None, "inf 0.5 0.5 0.1 0.1", "0.txt, line 1: class inf"),
        (None, "x" * 10_000_000, "0.txt, line 1: 'xxx"),
        (None, "0 0.5 " * 1_000_000, "0.txt, line 1: 2000000 numbers"),
        ("names: [a, b]\npath: /\nval: .\n", "", "`val`"),
        ("names: [a, b]\npath: ../..\nval: .\n", "", "`val`"),
        ("names: [a, b]\nval: ..\n", "", "leads out"),
        ("names: [a, b]\nval: /\n", "", "leads out"),
        ('names: [a, b]\nval: "a\\0b"\n', "", "data.yaml, line 2"),
        (f"names: [a, b]\nval: {'x' * 9000}\n", "", "`val`"),
        (f"names: [a, b]\nval: [{'., ' * 5000}]\n", "", "`val` lists 5000 paths"),
        ("names: [a, b]\nval: list.txt\n", "", "list.txt, line 1"),
    ],
)
def test_a_faulty_yolo_set_names_what_is_wrong(card, yolo, yaml, row, words):
    folder = yolo(yaml or "names: [a, b]\nval: images/val\n", [row])
    (folder / "list.txt").write_text("/etc/passwd\n")
    with pytest.raises(BadInput) as caught:
        open_dataset(folder, card("detection", "ab"))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("way", ["path", "absolute", "entry", "list", "link", "stale"])
def test_a_yolo_set_may_lie_beside_its_yaml_or_behind_a_link(card, yolo, tmp_path, way):
    """As Ultralytics lays it out: project/data.yaml, and datasets/NAME beside the project."""
    far = tmp_path / "far" / "away" / "set"
    far.parent.mkdir(parents=True)
    images = yolo().rename(far if way == "link" else tmp_path / "set")
    project = tmp_path / "project"
    project.mkdir()
    (project / "list.txt").write_text(f"../set/images/val/0.png\n{images}/images/val/1.png\n")
    if way == "link":
        (project / "images").symlink_to(images / "images")
    yaml = {
        "path": "path: ../set\nval: images/val\n",
        "absolute": f"path: {images}\nval: images/val\n",
        "entry": "val: [../set/images/val]\n",
        "list": "val: list.txt\n",
        "link": "val: images/val\n",
        "stale": "path: /home/someone/set\nval: ../set/images/val\n",
    }[way]
    (project / "data.yaml").write_text(f"names: [a, b]\n{yaml}")
    data = open_dataset(project, card("detection", "ab"))
    assert len(data.samples) == (2 if way == "list" else 3)
    assert all(load(sample).image is not None for sample in data.samples)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
@pytest.mark.parametrize(
    "name", ["data.yaml", "instances.json", "images/x.png", "labels/val/0.txt"]
)
def test_a_pipe_in_a_data_set_is_not_waited_for(card, yolo, name):
    folder = yolo()
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "images/x.png":
        assert open_dataset(folder, card("detection", ["cat", "dog"])).samples
        return
    with pytest.raises(BadInput, match=r"is a pipe"):
        open_dataset(folder, card("detection", ["cat", "dog"]))


# --- segmentation -----------------------------------------------------------------------------


@pytest.fixture
def masks(tmp_path, picture):
    """Write four images of 6 x 8, the first three with a mask of `value`."""

    def write(value=1, shape=(6, 8), folder="masks"):
        root = tmp_path / "seg"
        for number in range(4):
            picture(root / "images" / f"{number}.jpg", height=6, width=8)
        (root / folder).mkdir()
        for number in range(3):
            cv2.imwrite(str(root / folder / f"{number}.png"), np.full(shape, value, np.uint8))
        return root

    return write


@pytest.mark.parametrize("folder", ["masks", "voc_masks"])
def test_masks_lie_beside_the_images_and_only_these_score(card, masks, folder):
    root = masks(value=255, folder=folder)
    data = open_dataset(root, card("segmentation", "ab"), calibration=None)
    assert data.labelled
    scored = data.evaluation()
    assert set(ids(scored)) <= {"images/0.jpg", "images/1.jpg", "images/2.jpg"}
    assert "images/3.jpg" not in ids(scored)
    assert np.array_equal(load(scored[0]).truth, np.full((6, 8), 255))
    assert "1 of 4" in data.notes[0]


@pytest.mark.parametrize(
    ("change", "words"), [({"value": 2}, "value 2"), ({"shape": (5, 8)}, "5 x 8")]
)
def test_a_mask_that_does_not_fit_is_named_when_it_is_read(card, masks, change, words):
    data = open_dataset(masks(**change), card("segmentation", "ab"))
    with pytest.raises(BadInput, match=words):
        list(readable(data.evaluation()))


def test_a_mask_without_an_image_is_named(card, masks):
    root = masks()
    (root / "images" / "0.jpg").unlink()
    with pytest.raises(BadInput, match=r"0\.png has no image"):
        open_dataset(root, card("segmentation", "ab"))


# --- arrays -----------------------------------------------------------------------------------


def raw(card, *inputs, **keys):
    return card("raw", inputs={name: {"shape": ["n", 3]} for name in inputs}, **keys)


def test_arrays_are_fed_row_by_row(card, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(12).reshape(4, 3), t=np.arange(4))
    data = open_dataset(tmp_path, raw(card, "x", "t", "h", state={"h1": "h"}))
    assert [len(data.calibration()), len(data.evaluation())] == [1, 3]
    assert not data.labelled
    for example in readable(data.samples):
        fed, fit = feeds(example, task_for(card("raw")), "")
        assert fit is None
        assert fed["x"].shape == (1, 3)
        assert fed["x"][0, 0] == 3 * fed["t"][0]
    assert ids(data.samples) == [f"a.npz[{i}]" for i in range(4)]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((4, 3)), "y": np.zeros((3, 3))}, "same number of samples"),
        ({"x": np.zeros((4, 3)), "z": np.zeros((4, 3))}, "'z'"),
        ({"x": np.zeros((4, 3))}, "lacks the input 'y'"),
        ({"x": np.zeros((4, 3)), "y": np.float32(1)}, "same number"),
        ({"x": np.array([{}, {}]), "y": np.zeros((2, 3))}, "plain arrays"),
    ],
)
def test_faulty_arrays_are_named(card, tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput) as caught:
        open_dataset(tmp_path, raw(card, "x", "y"))
    assert words in str(caught.value)
    assert "a.npz" in str(caught.value)


def test_a_broken_npz_is_named(card, tmp_path):
    np.savez(tmp_path / "whole.npz", x=np.zeros((4, 3)))
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"PK\3\4 and no more", b"", whole[:-40], whole[:60] + b"x" * 9 + whole[69:]):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(BadInput, match=r"a\.npz"):
            open_dataset(tmp_path, raw(card, "x"))


# --- what calibrates and what scores ----------------------------------------------------------


@pytest.fixture
def plain(tmp_path, picture):
    def write(count, name="plain"):
        for number in range(count):
            picture(tmp_path / name / f"{number:03}.png", 2, 2, seed=number)
        return tmp_path / name

    return write


def test_the_draw_repeats_by_its_seed_and_parts_the_samples(card, plain):
    folder, made = plain(40), card("detection")
    first, again, other = (open_dataset(folder, made, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert ids(first.calibration()) != ids(other.calibration())
    assert first.split == "seeded 0.25 seed 0"
    assert len(first.calibration()) == 10
    parts = ids(first.calibration()) + ids(first.evaluation())
    assert sorted(parts) == sorted(ids(first.samples))
    assert ids(first.evaluation()) == sorted(ids(first.evaluation()))


def test_a_few_for_calibration_are_drawn_and_not_the_first(card, plain):
    data = open_dataset(plain(40), card("detection"))
    few = ids(data.calibration(4))
    assert few == ids(data.calibration())[:4]
    assert few != sorted(ids(data.calibration()))[:4]


def test_a_folder_of_its_own_calibrates_and_all_the_rest_scores(card, plain):
    data = open_dataset(plain(5), card("detection"), calibration=plain(3, "other"))
    assert data.split == "folder"
    assert len(data.calibration()) == 3
    assert len(data.evaluation()) == 5
    assert all("other" in str(sample.path) for sample in data.calibration())


def test_calibration_alone_has_nothing_that_scores(card, plain):
    data = open_dataset(None, card("detection"), calibration=plain(3))
    assert len(data.calibration()) == 3
    with pytest.raises(BadInput, match="--data"):
        data.evaluation()


def test_an_image_never_calibrates_and_scores(card, plain, csv_set):
    folder = plain(5)
    with pytest.raises(BadInput, match="both calibrate and score"):
        open_dataset(folder, card("detection"), calibration=folder)
    rows = [f"images/{i}.png,0,{'calib' if i < 3 else 'eval'}" for i in range(8)]
    folder = csv_set(rows)
    data = open_dataset(folder, card("classification", "a"), calibration=folder)
    assert (len(data.calibration()), len(data.evaluation())) == (3, 5)


def test_no_role_is_filled_from_the_other(card, csv_set):
    data = open_dataset(csv_set(["images/0.png,0,eval"]), card("classification", "a"))
    with pytest.raises(BadInput, match="--calibration"):
        data.calibration()


def test_data_whose_rows_all_score_says_so_and_not_that_none_was_given(card, csv_set):
    """Told `--data`, a user who had given it was told to give it."""
    folder = csv_set([f"images/{i}.png,0,eval" for i in range(5)])
    data = open_dataset(folder, card("classification", "a"))
    reason, remedy = data.missing("calib")
    assert str(folder) in reason
    assert "5 have role=eval" in reason
    assert "--calibration" in remedy
    assert "role=calib" in remedy
    assert data.missing("eval") is None


def test_data_whose_rows_all_calibrate_says_so(card, csv_set):
    folder = csv_set([f"images/{i}.png,0,calib" for i in range(5)])
    data = open_dataset(folder, card("classification", "a"))
    assert "5 have role=calib" in data.missing("eval")[0]
    assert data.missing("calib") is None


def test_one_sample_scores_and_calibrates_nothing(card, plain):
    data = open_dataset(plain(1), card("detection"))
    assert "one sample" in data.missing("calib")[0]
    assert len(data.evaluation()) == 1


def test_what_has_no_truth_calibrates_first(card, masks):
    """One of three masks calibrated, while the image that cannot score did nothing."""
    root = masks()
    for seed in range(8):
        data = open_dataset(root, card("segmentation", "ab"), seed=seed)
        assert ids(data.calibration()) == ["images/3.jpg"]
        assert len(data.evaluation()) == 3


def graphs(card, *roles):
    tensors = {"inputs": {"x": {"shape": ["n", 3]}}}
    return card("raw", graphs=dict.fromkeys(roles, tensors))


@pytest.mark.parametrize("named", [True, False])
def test_a_quarter_of_each_graph_calibrates(card, tmp_path, named):
    """Drawn over the whole folder, the quarter fell on one graph wholly for some seeds."""
    np.savez(tmp_path / "encoder.npz", x=np.zeros((40, 3)))
    np.savez(
        tmp_path / "step.npz", **({"x": np.zeros((4, 3))} if named else {"h": np.ones((4, 3))})
    )
    made = graphs(card, "encoder", "step") if named else card("raw")
    for seed in range(20):
        data = open_dataset(tmp_path, made, seed=seed)
        for role, count in (("encoder", 10), ("step", 1)):
            own = [one for one in data.calibration() if one.path.stem == role]
            assert len(own) == count


def test_a_graph_without_inputs_is_refused_and_so_is_a_file_of_no_graph(card, tmp_path):
    """A graph that the data left out was judged by nothing, and the whole passed."""
    np.savez(tmp_path / "encoder.npz", x=np.zeros((8, 3)))
    with pytest.raises(BadInput, match="'step'"):
        open_dataset(tmp_path, graphs(card, "encoder", "step"))
    np.savez(tmp_path / "stepp.npz", x=np.zeros((8, 3)))
    with pytest.raises(BadInput, match=r"stepp\.npz.*'step'"):
        open_dataset(tmp_path, graphs(card, "encoder", "step"))
    np.savez(tmp_path / "stepp.npz", y=np.zeros((8, 3)))
    (tmp_path / "stepp.npz").rename(tmp_path / "step.npz")
    with pytest.raises(BadInput, match=r"step\.npz.*'y'"):
        open_dataset(tmp_path, graphs(card, "encoder", "step"))


def test_each_graph_may_have_one_sample_which_scores(card, tmp_path):
    for role in ("encoder", "step"):
        np.savez(tmp_path / f"{role}.npz", x=np.zeros((1, 3)))
    data = open_dataset(tmp_path, graphs(card, "encoder", "step"))
    assert "one sample of each graph" in data.missing("calib")[0]
    assert len(data.evaluation()) == 2


def test_the_fingerprint_moves_with_files_labels_and_roles(card, csv_set):
    rows = ["images/0.png,0,eval", "images/1.png,1,calib"]
    made = card("classification", "ab")
    first = open_dataset(csv_set(rows), made).fingerprint
    assert open_dataset(csv_set(rows), made).fingerprint == first
    seen = {first}
    for change in (["images/0.png,1,eval", rows[1]], ["images/0.png,0,calib", rows[1]], rows[:1]):
        seen.add(open_dataset(csv_set(change), made).fingerprint)
    folder = csv_set(rows)
    with open(folder / "images" / "0.png", "ab") as file:
        file.write(b"more")
    seen.add(open_dataset(folder, made).fingerprint)
    assert len(seen) == 5


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation", "raw"])
def test_a_folder_with_nothing_in_it_is_refused(card, tmp_path, task):
    with pytest.raises(BadInput, match="is empty"):
        open_dataset(tmp_path, card(task))
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(BadInput, match="holds no samples"):
        open_dataset(tmp_path, card(task))
    with pytest.raises(BadInput, match="does not exist"):
        open_dataset(tmp_path / "gone", card(task))
    with pytest.raises(BadInput, match="is a file"):
        open_dataset(tmp_path / "note.txt", card(task))
    with pytest.raises(BadInput, match="--data"):
        open_dataset(None, card(task))


def test_annotations_without_an_image_are_refused(card, tmp_path):
    document = {"images": [], "annotations": [], "categories": []}
    (tmp_path / "instances.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match="holds no samples"):
        open_dataset(tmp_path, card("detection"))


# --- unreadable images ------------------------------------------------------------------------


def break_images(folder, count):
    for path in sorted(folder.iterdir())[:count]:
        path.write_bytes(b"junk")


def test_a_few_unreadable_images_are_skipped_and_named(card, plain):
    folder = plain(20)
    break_images(folder, 1)
    skipped, said = [], []
    data = open_dataset(folder, card("detection"))
    read = list(readable(data.samples, skipped=skipped, note=said.append))
    assert len(read) == 19
    assert skipped == ["000.png"]
    assert "000.png" in said[0]


def test_too_many_unreadable_images_are_counted_and_named(card, plain):
    folder = plain(20)
    break_images(folder, 3)
    data = open_dataset(folder, card("detection"))
    with pytest.raises(BadInput, match=r"2 of the first 2 images .* \(20 in all\): 000.png, 001"):
        list(readable(data.samples))
    assert len(list(readable(data.samples, limit=0.15))) == 17


def test_one_unreadable_image_of_few_is_let_through_but_not_the_only_one(card, plain):
    folder = plain(3)
    break_images(folder, 1)
    samples = open_dataset(folder, card("detection")).samples
    assert len(list(readable(samples))) == 2
    with pytest.raises(BadInput, match="cannot be read"):
        list(readable(samples[:1]))


def test_a_yolo_set_is_found_by_a_relative_path(card, yolo, monkeypatch):
    # Red where the folder was put before its own images twice: "names no images under `val`".
    folder = yolo('names: {"0": cat, "1": dog}\nval: images/val\n')
    monkeypatch.chdir(folder.parent)
    data = open_dataset(Path(folder.name), card("detection", ["cat", "dog"]))
    assert [one for one in data.samples if one.role == "eval"]

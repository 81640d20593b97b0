"""`edgekit predict`: pictures and JSON of real images, and what happens with bad ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import jsonschema
import msgspec
import numpy as np
import pytest

from edgekit import api
from edgekit.benchmarks.schemas import load_schema
from edgekit.core.destination import MARKER
from edgekit.core.documents import PredictDocument
from edgekit.core.errors import BadInput
from edgekit.core.progress import Silent
from edgekit.jobs.opening import predictor


@pytest.fixture
def pictures(digits, tmp_path):
    """Two folders that hold an image of the same name, and a file that is none."""
    files = sorted((digits / "images").glob("*.png"))
    for name, file in (("one/a.png", 0), ("two/a.png", 1), ("two/deep/b.png", 2)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files[file], tmp_path / name)
    (tmp_path / "two" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


class Interrupting(Silent):
    """A user who presses Ctrl-C while the third image is due."""

    def track(self, items, label, total=None):
        for place, item in enumerate(items):
            if place == 2:
                raise KeyboardInterrupt
            yield item


def test_pictures_and_json_of_files_and_folders(deployed, pictures):
    output = pictures / "out"
    inputs = [pictures / "one" / "a.png", pictures / "two", pictures / "one"]
    document = api.predict(str(deployed[1]), inputs, output)
    assert document.n == len(document.images) == 3
    assert [image.picture for image in document.images] == ["a.png", "a-2.png", "deep/b.png"]
    assert len(document.skipped) == 1
    assert "broken.png" in document.skipped[0]
    for image in document.images:
        drawn = cv2.imread(str(output / image.picture))
        assert drawn.shape[1] >= 160
        assert image.classes[0].probability > 0.5
        assert image.detections is image.regions is image.mask is None
    assert (document.target, document.verdict) == (deployed[0].best.target, "PASS")
    written = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    assert written == {"a.png", "a-2.png", "deep/b.png", "predictions.json", MARKER}


def test_the_document_is_what_is_printed_and_fits_its_schema(deployed, pictures):
    output = pictures / "out"
    document = api.predict(str(deployed[1]), [pictures / "two"], output)
    content = json.loads((output / "predictions.json").read_text())
    jsonschema.Draft202012Validator(load_schema("predict")).validate(content)
    assert content["schema"] == "edgekit.predict/1"
    assert msgspec.convert(content, PredictDocument) == document
    # Two images are too few for a median.
    assert {stage.p50_ms for stage in document.stages.values()} == {None}
    assert min(stage.mean_ms for stage in document.stages.values()) > 0


def test_a_median_is_told_of_enough_images(deployed, digits):
    files = sorted((digits / "images").glob("*.png"))[:12]
    document = api.predict(str(deployed[1]), files, batch=5)
    assert document.batch == 5
    assert document.output is None
    assert all(stage.n == 12 and stage.p50_ms > 0 for stage in document.stages.values())


def test_batches_change_no_answer(deployed, digits):
    single = api.predict(str(deployed[1]), [digits / "images"])
    together = api.predict(str(deployed[1]), [digits / "images"], batch=16)
    assert single.n == together.n == 600
    for one, other in zip(single.images, together.images, strict=True):
        assert one.image == other.image
        assert one.classes[0].label == other.classes[0].label
        assert one.classes[0].probability == pytest.approx(other.classes[0].probability, abs=1e-4)


def test_with_no_readable_image_nothing_is_written(deployed, pictures):
    for inputs, says in (
        ([pictures / "two" / "broken.png"], "broken.png"),
        ([pictures / "nothing.png"], "nothing.png cannot be read"),
        ([pictures / "empty"], "empty holds no images"),
        ([], "no images"),
    ):
        (pictures / "empty").mkdir(exist_ok=True)
        with pytest.raises(BadInput, match=says):
            api.predict(str(deployed[1]), inputs, pictures / "out")
        assert not (pictures / "out").exists()


def test_earlier_answers_are_replaced_only_by_force(deployed, pictures):
    output = pictures / "out"
    api.predict(str(deployed[1]), [pictures / "two"], output)
    with pytest.raises(BadInput, match="--force"):
        api.predict(str(deployed[1]), [pictures / "one"], output)
    api.predict(str(deployed[1]), [pictures / "one"], output, force=True)
    assert {p.name for p in output.iterdir()} == {"a.png", "predictions.json", MARKER}


@pytest.mark.parametrize(
    ("place", "why"), [("one", "one is an input"), (".", "holds .*one, which is used here")]
)
def test_force_never_takes_the_images_themselves(deployed, pictures, place, why):
    before = (pictures / "one" / "a.png").read_bytes()
    with pytest.raises(BadInput, match=why):
        api.predict(str(deployed[1]), [pictures / "one"], pictures / place, force=True)
    assert (pictures / "one" / "a.png").read_bytes() == before


def test_images_of_odd_shapes_are_drawn_and_none_ends_the_others(deployed, tmp_path, capfd):
    # Red where a strip was enlarged to one of a million pixels, which no PNG holds: a bug.
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "strip.png"), np.zeros((1, 20_000, 3), np.uint8))
    cv2.imwrite(str(folder / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    # Content goes before suffix, and JPEG holds no such row.
    wide = cv2.imencode(".png", np.zeros((2, 70_000, 3), np.uint8))[1]
    (folder / "wide.jpg").write_bytes(wide.tobytes())
    (folder / "floats.tiff").write_bytes(b"II*\0\x08\0\0\0" + bytes(6))
    document = api.predict(str(deployed[1]), [folder], tmp_path / "out")
    shown = {Path(image.image).name: image.picture for image in document.images}
    assert shown == {"strip.png": "strip.png", "dot.png": "dot.png", "wide.jpg": "wide.png"}
    for name in shown.values():
        assert max(cv2.imread(str(tmp_path / "out" / name)).shape) <= 70_000
    assert len(document.skipped) == 1
    assert capfd.readouterr().err == ""


def test_what_was_finished_before_an_interruption_is_kept(deployed, digits, tmp_path):
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        api.predict(str(deployed[1]), [digits / "images"], output, progress=Interrupting())
    content = json.loads((output / "predictions.json").read_text())
    assert content["n"] == 2
    assert all((output / image["picture"]).is_file() for image in content["images"])


def test_a_model_without_a_task_is_told_where_it_can_be_used(
    toy, tmp_path, digits_onnx, monkeypatch
):
    import onnx

    monkeypatch.setattr(predictor, "engine_folders", lambda *_, **__: pytest.fail("compiled"))
    model = onnx.load(digits_onnx)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "raw.onnx")
    with pytest.raises(BadInput, match=r"edgekit\.load"):
        api.predict(str(tmp_path / "raw.onnx"), [tmp_path / "x.png"])


@pytest.mark.realdata
def test_boxes_of_real_images(realdata, tmp_path):
    document = api.predict(
        str(realdata / "models" / "yolox_nano_original.onnx"),
        [realdata / "samples"],
        tmp_path / "out",
        confidence=0.5,
    )
    assert document.task == "detection"
    dog = next(image for image in document.images if image.image.endswith("dog.jpg"))
    assert {"dog", "bicycle"} <= {one.label for one in dog.detections}
    assert min(one.score for one in dog.detections) >= 0.5
    drawn = cv2.imread(str(tmp_path / "out" / "dog.jpg"))
    original = cv2.imread(str(realdata / "samples" / "dog.jpg"))
    assert drawn.shape == original.shape == (dog.height, dog.width, 3)
    assert (np.abs(drawn.astype(int) - original).max(axis=-1) > 60).mean() > 0.005


@pytest.mark.realdata
@pytest.mark.slow
def test_masks_of_real_images(realdata, tmp_path):
    api.export(str(realdata / "models" / "espnetv2_s1.0_voc.pt2"), tmp_path / "net.onnx")
    output = tmp_path / "out"
    document = api.predict(str(tmp_path / "net.onnx"), [realdata / "samples"], output)
    for image in document.images:
        mask = cv2.imread(str(output / image.mask), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (image.height, image.width)
        counts = np.bincount(mask.reshape(-1))
        for region in image.regions:
            assert region.share == pytest.approx(counts[region.class_index] / mask.size)

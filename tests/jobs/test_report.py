"""The page that deploy seals into a bundle, and those that `report` writes of what is on disk."""

from __future__ import annotations

import json
import shutil

import cv2
import msgspec
import numpy as np
import pytest
from jsonschema import validate

from edgekit import api
from edgekit.benchmarks.report.records import name_of
from edgekit.benchmarks.schemas import load_schema
from edgekit.cli.main import run as command
from edgekit.core.certificate import Limits, Metric
from edgekit.core.details import Details
from edgekit.core.documents import EvalDocument
from edgekit.core.errors import BadInput, MissingLibrary
from edgekit.jobs import deploy as deploy_job
from edgekit.jobs import report as report_job
from edgekit.jobs.model.bundle import damage, read_manifest, seal


@pytest.fixture
def copy(deployed, tmp_path):
    """A copy of the bundle to damage."""
    folder = tmp_path / "copy.bundle"
    shutil.copytree(deployed[1], folder)
    return folder


def details_of(bundle):
    return msgspec.json.decode((bundle / "details.json").read_bytes(), type=Details)


def written(sources, folder, **options):
    """The document and the text of a page."""
    output = folder / "page.html"
    document = api.report(sources, output, force=True, **options)
    validate(json.loads(msgspec.json.encode(document)), load_schema("report"))
    text = output.read_text(encoding="utf-8")
    assert document.size_bytes == len(text.encode())
    return document, text


def test_deploy_seals_a_page_that_names_its_choice(deployed):
    document, bundle = deployed
    manifest = read_manifest(bundle)
    assert {"report.html", "details.json"} <= set(manifest.files)
    assert damage(bundle, manifest) == []
    text = (bundle / "report.html").read_text(encoding="utf-8")
    assert f'data-variant="{document.best.variant}"' in text
    assert f'data-target="{document.best.target}"' in text
    assert "recipe.yaml" in text


def test_a_bundle_carries_no_picture_unasked(deployed):
    _, bundle = deployed
    text = (bundle / "report.html").read_text(encoding="utf-8")
    assert "image/jpeg" not in text
    assert "The pictures are not on this page" in text
    assert "edgekit report" in text


def test_the_command_that_shows_the_pictures_can_be_pasted(deployed, tmp_path):
    _, bundle = deployed
    spaced = tmp_path / "my bundle"
    shutil.copytree(bundle, spaced)
    document, _ = written([spaced], tmp_path)
    assert any(f"edgekit report '{spaced}' --data DIR" in note for note in document.notes)


def test_the_details_hold_both_answers_and_the_classes(deployed, digits):
    document, bundle = deployed
    details = details_of(bundle)
    assert set(details.entries) == {name_of(entry) for entry in document.entries}
    for entry in document.entries:
        one = details.entries[name_of(entry)]
        assert one.images == 500
        assert one.classes.index == tuple(range(10))
        assert sum(one.classes.n) == 500
        mean = np.average(one.classes.value, weights=one.classes.n)
        assert mean == pytest.approx(entry.metric.value, abs=1e-3)
        far = [answer.difference for answer in one.differing]
        assert far == sorted(far, reverse=True)
        assert len(far) <= 20
        assert {answer.id for answer in one.differing} <= set(details.images)
    assert any(details.entries[name_of(entry)].differing for entry in document.entries)
    for image in details.images.values():
        height, width = cv2.imread(str(digits / image.id)).shape[:2]
        assert (image.width, image.height) == (width, height)
        assert image.truth is not None


def test_the_page_with_pictures_shows_what_the_details_name(deployed, digits, tmp_path):
    _, bundle = deployed
    document, text = written([bundle], tmp_path, data=digits)
    assert document.pictures == text.count("data:image/jpeg") > 0
    assert document.recommended[0].variant == deployed[0].best.variant
    assert "The pictures are not on this page" not in text


def test_another_image_of_the_same_name_is_not_shown(deployed, digits, tmp_path):
    _, bundle = deployed
    other = tmp_path / "other" / "images"
    other.mkdir(parents=True)
    for image in details_of(bundle).images.values():
        cv2.imwrite(str(other / image.id.rpartition("/")[2]), np.zeros((8, 8), np.uint8))
    document, text = written([bundle], tmp_path, data=other.parent)
    assert document.pictures == 0
    assert "but with other content" in text


@pytest.mark.parametrize("exists", [True, False])
def test_data_that_holds_no_image_is_refused(deployed, tmp_path, exists):
    folder = tmp_path / "empty"
    if exists:
        folder.mkdir()
    with pytest.raises(BadInput, match="holds no image" if exists else "is not a folder"):
        api.report([deployed[1]], tmp_path / "page.html", data=folder)


def test_deploy_puts_pictures_into_the_page_where_it_is_told_to(deployed, digits, tmp_path):
    document = api.deploy(
        "edgekit:digits",
        tmp_path / "bundle",
        targets=[entry.target for entry in deployed[0].entries],
        data=digits,
        compute=("fp32",),
        time=0.5,
        report_images=True,
    )
    text = (tmp_path / "bundle" / "report.html").read_text(encoding="utf-8")
    assert "data:image/jpeg" in text
    assert any("report.html shows pictures" in note for note in document.notes)
    assert "report-images: true" in (tmp_path / "bundle" / "recipe.yaml").read_text()
    with pytest.raises(BadInput, match="no data was given. Give --data"):
        api.deploy(
            "edgekit:digits", tmp_path / "b", targets=["onnxruntime:cpu"], report_images=True
        )


def test_a_deployment_that_fails_has_a_page(digits, tmp_path):
    api.deploy(
        "edgekit:digits",
        tmp_path / "bundle",
        targets=["onnxruntime:cpu"],
        data=digits,
        precision=["fp32"],
        limits=Limits(min_agreement=1.5),
        time=0.2,
    )
    text = (tmp_path / "bundle" / "report.html").read_text(encoding="utf-8")
    assert "Ship nothing yet: no variant holds" in text
    assert "Agreement: 1.000 of the answers agree" in text
    document, _ = written([tmp_path / "bundle"], tmp_path)
    assert document.recommended[0].variant is None
    assert "fails" in document.recommended[0].reason


def test_a_deployment_without_data_has_a_page_that_is_not_green(tmp_path):
    api.deploy("edgekit:digits", tmp_path / "bundle", targets=["onnxruntime:cpu"], time=0.2)
    document, text = written([tmp_path / "bundle"], tmp_path)
    assert document.recommended[0].verdict == "UNVERIFIED"
    assert "once its accuracy is checked" in text
    assert "accuracy is UNVERIFIED" in text
    assert "no images were given" in text


def test_without_the_libraries_a_bundle_is_whole_and_says_what_is_missing(tmp_path, monkeypatch):
    def missing():
        raise MissingLibrary("jinja2 is needed and is not installed.", hint="pip install it")

    monkeypatch.setattr(deploy_job, "load_libraries", missing)
    bundle = tmp_path / "bundle"
    document = api.deploy("edgekit:digits", bundle, targets=["onnxruntime:cpu"], time=0.2)
    assert any("report.html was left out: jinja2" in note for note in document.notes)
    assert not (bundle / "report.html").exists()
    assert damage(bundle, read_manifest(bundle)) == []
    monkeypatch.setattr(report_job, "load_libraries", missing)
    with pytest.raises(MissingLibrary):
        api.report([bundle], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_several_bundles_stand_on_one_page(deployed, copy, tmp_path):
    document, text = written([deployed[1], copy], tmp_path)
    assert document.bundles == (str(deployed[1]), str(copy))
    assert len(document.recommended) == 2
    assert 'id="recommended-A"' in text
    assert 'id="recommended-B"' in text
    assert "copy.bundle" in text


def test_results_of_bench_deploy_and_eval_are_taken(deployed, digits_onnx, tmp_path):
    _, bundle = deployed
    api.bench(str(digits_onnx), targets=["null:cpu"], time=0.2, output=tmp_path / "bench")
    evaluated = EvalDocument(
        model="m.onnx",
        target="openvino:cpu",
        variant="fp32",
        compute="fp32",
        metric=Metric(name="top1", value=0.9, low=0.8, high=0.95, n=100),
        n=100,
    )
    (tmp_path / "eval.json").write_bytes(msgspec.json.encode(evaluated))
    shutil.copy(bundle / "deploy.json", tmp_path / "deploy.json")
    sources = [tmp_path / "bench", tmp_path / "eval.json", tmp_path / "deploy.json"]
    document, text = written(sources, tmp_path)
    assert [one.variant is None for one in document.recommended] == [True, True, False]
    assert "A measurement and no certificate" in text
    assert "A score and no certificate" in text
    alone, text = written([tmp_path / "bench" / "bench.json"], tmp_path)
    assert 'class="chart"' in text
    assert alone.recommended[0].reason == "A result of edgekit bench has no certificate."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"schema": "edgekit.export/1"}', "its schema is 'edgekit.export/1'"),
        (b'{"schema": {"a": 1}}', "its schema is not told"),
        (b"[1, 2]", "its schema is not told"),
        (b"no json", "is no JSON"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"schema": "edgekit.deploy/1"}', "is damaged, or of another version"),
        (b'{"schema": "edgekit.bench/1", "entries": 3}', r"is damaged, .*\$\.entries"),
    ],
)
def test_what_is_no_result_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "what.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        api.report([path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        api.report([tmp_path / "nothing"], tmp_path / "page.html")
    with pytest.raises(BadInput, match="holds no manifest"):
        api.report([tmp_path], tmp_path / "page.html")
    with pytest.raises(BadInput, match="Nothing to report on"):
        api.report([], tmp_path / "page.html")


def test_a_page_is_never_written_over_or_into_a_bundle(deployed, tmp_path):
    _, bundle = deployed
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(BadInput, match="exists"):
        api.report([bundle], page)
    assert page.read_text() == "mine"
    for within in (bundle / "report.html", bundle / "golden" / "page.html"):
        with pytest.raises(BadInput, match="which is sealed"):
            api.report([bundle], within, force=True)
    with pytest.raises(BadInput, match="is a folder"):
        api.report([bundle], tmp_path)


def test_a_missing_measurement_is_said_and_is_a_1(copy, tmp_path, capsys):
    (lost, *_) = sorted((copy / "measurements").glob("*.npz"))
    lost.unlink()
    page = tmp_path / "page.html"
    assert command(["report", str(copy), "-o", str(page), "--json", "--quiet"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert f"measurements/{lost.name} is missing." in document["damaged"]
    text = page.read_text(encoding="utf-8")
    assert "This bundle is damaged." in text
    assert "do not ship this copy" in text
    assert "so the page does without it" in text


def test_damaged_details_and_samples_are_left_out_and_said(copy, tmp_path):
    (copy / "details.json").write_text("{")
    for path in (copy / "measurements").glob("*.npz"):
        path.write_bytes(b"no samples")
    document, text = written([copy], tmp_path)
    assert len(document.damaged) == 1 + len(list((copy / "measurements").iterdir()))
    assert "The raw samples are missing" in text
    # Sealed again, they are what they are said to be, and still no samples.
    seal(copy, read_manifest(copy))
    document, text = written([copy], tmp_path)
    assert document.damaged == ()
    assert any("details.json is no JSON" in note for note in document.notes)
    assert any("holds no samples" in note for note in document.notes)


def test_a_bundle_from_before_the_details_has_a_page(copy, tmp_path):
    (copy / "details.json").unlink()
    (copy / "report.html").unlink()
    seal(copy, read_manifest(copy))
    document, text = written([copy], tmp_path)
    assert document.damaged == ()
    assert "a bundle made before it was kept" in text
    assert "a bundle made before they were kept" in text


@pytest.mark.parametrize("name", ["manifest.json", "deploy.json"])
def test_a_bundle_whose_heart_was_changed_is_refused(copy, tmp_path, capsys, name):
    path = copy / name
    path.write_bytes(path.read_bytes().replace(b"PASS", b"FAIL", 1).replace(b"0.1.0", b"0.1.1", 1))
    assert command(["report", str(copy), "-o", str(tmp_path / "page.html"), "--quiet"]) == 2
    assert "was changed" in capsys.readouterr().err


def test_labels_files_and_cards_of_a_bundle_run_nothing(browser, copy, tmp_path):
    evil = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>"
    details = (copy / "details.json").read_text()
    name = next(iter(details_of(copy).images))
    (copy / "details.json").write_text(details.replace(name, evil))
    manifest = read_manifest(copy)
    card = {**manifest.card, "labels": [evil] * 10}
    seal(copy, msgspec.structs.replace(manifest, card=card, source={"text": evil, "kind": "x"}))
    document, text = written([copy], tmp_path)
    assert document.damaged == ()
    assert text.count("<script") == 1
    browser.open(tmp_path / "page.html")
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("return typeof window.hacked") == "undefined"
    assert browser.run("return document.images.length") == 0
    assert browser.complaints() == []
    shown = browser.run("return document.body.innerText")
    # As the name of a file, as a label and as the source.
    assert shown.count(evil) > 12


def test_the_page_of_a_deployment_opens_in_a_browser(browser, deployed):
    document, bundle = deployed
    page = bundle / "report.html"
    browser.open(page, width=360)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    headline = browser.run("return document.querySelector('#recommended .headline').innerText")
    assert f"{document.best.variant} in {document.best.compute}" in headline
    assert document.best.target in headline
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]


def test_a_link_that_leads_to_itself_is_no_bundle(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadInput, match="loop"):
        api.report([tmp_path / "loop"], tmp_path / "page.html")

"""README and docs, followed as they are printed."""

from __future__ import annotations

import json

import cv2
import pytest
from page_blocks import PAGES

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


# Pages for those who look deeper or build on edgekit: each takes 15 to 50 s.
LONG = {
    f"docs/{name}.md"
    for name in (
        "adding-a-head",
        "adding-a-runtime",
        "bake",
        "bundle",
        "cache",
        "certificate",
        "comparing",
        "debugging",
        "inspect",
        "measurement",
        "report",
        "results",
        "source",
        "tensorrt",
    )
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(page.name, marks=[pytest.mark.slow] if page.name in LONG else [])
        for page in PAGES.values()
        if any(block.runs for block in page.blocks)
    ],
)
def test_a_page_can_be_followed(followed, name):
    followed(name)


def test_the_walk_of_the_readme_ends_with_a_certified_bundle(followed):
    bundle = followed("README.md") / "mine.bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["schema"] == "edgekit.bundle/1"
    deployed = json.loads((bundle / "deploy.json").read_text())
    assert {one["target"] for one in deployed["recommended"]} == {"onnxruntime:cpu", "openvino:cpu"}
    assert all(one["variant"] for one in deployed["recommended"])
    assert deployed["reference_metric"]["value"] > 0.8


def test_the_program_of_the_page_on_use_answers_and_draws(followed):
    folder = followed("docs/use.md")
    assert cv2.imread(str(folder / "answer.png")) is not None
    document = json.loads((folder / "answers" / "predictions.json").read_text())
    assert document["n"] == 600

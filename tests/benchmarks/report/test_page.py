"""The page as text: everything is there, everything is escaped, nothing is asked of a network."""

from __future__ import annotations

import functools
import re
from html.parser import HTMLParser

import msgspec
import pytest

from edgekit.benchmarks.report import page
from edgekit.core.details import Details
from edgekit.core.errors import MissingLibrary

EVIL = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>\"'&{{7*7}}🐈"


class Outline(HTMLParser):
    """Elements, ids and headings of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.ids, self.levels, self.addresses = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.elements.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.addresses += [found[name] for name in ("src", "href", "action") if name in found]


def all_of(make):
    """Subjects in every state that a page may meet, by name."""
    failed = make["entry"](
        "int8-u8s8", verdict="FAIL", checks=make["checks"](metric="FAIL", parity="FAIL")
    )
    broken = make["entry"](
        "fp16", verdict="FAIL", checks={}, metric=None, latency=None, valid=False,
        reasons=("It was not measured.",), error="The engine refused the graph.",
    )  # fmt: skip
    bare = {"details": Details(), "recipe": "", "commands": (), "samples": {}, "environment": None}
    unscored = make["entry"](
        metric=None, verdict="UNVERIFIED", checks=make["checks"](metric="UNVERIFIED")
    )
    without = make["checks"](metric="UNVERIFIED")
    without.pop("agreement")
    without.pop("confidence_shift")
    raw = make["entry"](metric=None, verdict="UNVERIFIED", checks=without)
    several = [make["entry"](f"v{at}", p50=4.0 + at, target=f"t{at % 3}:cpu") for at in range(40)]
    return {
        "shipped": make["subject"](),
        "failed": make["subject"]([failed, broken], chosen=None),
        "nothing made": make["subject"]([], chosen=None, recommended=(), **bare),
        "old bundle": make["subject"](**bare),
        "unscored": make["subject"]([unscored], chosen=0, details=Details()),
        "raw": make["subject"]([raw], chosen=0, task="raw", labels=(), details=Details()),
        "unmeasured": make["subject"]([make["entry"](latency=None)], chosen=0),
        "damaged": make["subject"](damage=[f"file {at} is missing." for at in range(20)]),
        "bench": make["subject"](kind="bench", recommended=(), best=None, **bare),
        "forty entries": make["subject"](several),
    }


NAMES = ("shipped", "failed", "nothing made", "old bundle", "unscored", "raw", "unmeasured",
         "damaged", "bench", "forty entries")  # fmt: skip


@pytest.fixture(scope="module")
def pages(make):
    """Name of a state to its page; each is made once."""
    subjects = all_of(make)
    return functools.cache(lambda name: page.render([subjects[name]]))


@pytest.mark.parametrize("name", NAMES)
def test_every_state_of_a_bundle_has_a_page(pages, name):
    text = pages(name)
    outline = Outline(text)
    assert text.startswith("<!DOCTYPE html>")
    assert len(outline.ids) == len(set(outline.ids))
    assert {"main", "ship", "tradeoff", "checks", "latency", "classes", "images", "environment",
            "repeat", "recommended"} <= set(outline.ids)  # fmt: skip
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    steps = zip(outline.levels, outline.levels[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)
    assert "None" not in re.sub(r"<[^>]*>", "", text)


def test_all_of_them_fit_on_one_page(make):
    text = page.render(list(all_of(make).values()))
    outline = Outline(text)
    assert len(outline.ids) == len(set(outline.ids))
    assert "recommended-A" in outline.ids
    steps = zip(outline.levels, outline.levels[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)


def test_the_choice_is_found_by_its_id(pages):
    (lead,) = (
        found for _, found in Outline(pages("shipped")).elements if found.get("id") == "recommended"
    )
    assert lead["data-variant"] == "int8-u8s8"
    assert lead["data-target"] == "openvino:cpu"
    assert lead["data-compute"] == "fp32"


def test_what_failed_is_told_in_words(pages):
    text = pages("failed")
    assert "Ship nothing yet: no variant holds" in text
    assert "Metric: The metric is out (0.40 points; at most 1.00 points is asked for)." in text
    assert "It could not be run. The engine refused the graph." in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("old bundle", "a bundle made before it was kept"),
        ("old bundle", "The raw samples are missing"),
        ("old bundle", "The machine is not known"),
        ("unscored", "accuracy is UNVERIFIED"),
        ("unscored", "accuracy is the agreement with the reference"),
        ("raw", "the task <bdi>raw</bdi> has no metric"),
        ("raw", "There is no accuracy to draw"),
        ("unmeasured", "There is no latency to draw"),
        ("unmeasured", "Nothing was measured."),
        ("nothing made", "No entry could be made"),
        ("damaged", "This bundle is damaged."),
        ("damaged", "And 12 more."),
        ("bench", "it has no certificate"),
    ],
)
def test_what_is_missing_is_said(pages, name, words):
    assert words in pages(name)


def test_every_text_from_outside_is_escaped(make):
    entry = make["entry"](
        EVIL,
        target=EVIL,
        compute=EVIL,
        executed_precision=EVIL,
        reasons=(EVIL,),
        valid=False,
        checks=make["checks"](metric="FAIL"),
    )
    metric = msgspec.structs.replace(entry.metric, name=EVIL)
    failing = {
        **entry.checks,
        "metric": msgspec.structs.replace(entry.checks["metric"], reason=EVIL),
    }
    entry = msgspec.structs.replace(entry, metric=metric, checks=failing)
    hostile = make["subject"](
        [entry, msgspec.structs.replace(entry, error=EVIL)],
        chosen=0,
        name=EVIL,
        model=EVIL,
        task=EVIL,
        labels=(EVIL,) * 3,
        reference=EVIL,
        reference_metric=metric,
        created=EVIL,
        version=EVIL,
        source={EVIL: EVIL},
        recipe=EVIL,
        commands=[(EVIL, EVIL)],
        damage=[EVIL],
        notes=[EVIL],
        pictures_note=EVIL,
        details=make["details"]([entry], image=EVIL),
        pictures={EVIL: make["jpeg"]()},
        environment=msgspec.structs.replace(
            make["subject"]().environment, identity={"cpu": EVIL, EVIL: EVIL}
        ),
    )
    for subjects in ([hostile], [hostile, hostile]):
        text = page.render(subjects)
        tags = [tag for tag, _ in Outline(text).elements]
        assert tags.count("script") == 1
        assert "img" not in tags
        assert not any(
            name.startswith("on") for _, found in Outline(text).elements for name in found
        )
        assert "49" not in re.findall(r"hacked=1&gt;.{0,12}(\d\d)", text)


def test_only_its_own_script_may_run_and_nothing_may_be_fetched(pages):
    text = pages("shipped")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}'", policy.replace("&#39;", "'"))


def test_the_same_subject_gives_the_same_page(make, pages):
    assert page.render([make["subject"]()]) == pages("shipped")


def test_ten_thousand_classes_make_no_large_page(make):
    entries = [make["entry"](), make["entry"]("int8-u8s8", p50=5.0)]
    labels = tuple(f"a class with a rather long name, number {at}" for at in range(10_000))
    details = make["details"](entries, classes=10_000)
    text = page.render([make["subject"](entries, labels=labels, details=details)])
    assert len(text) < 2_000_000
    assert "All 10,000 classes as CSV" in text
    assert text.count('class="picture"><svg') == 20


def test_a_page_is_small(pages):
    assert len(pages("shipped")) < 200_000


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_a_missing_library_is_one_sentence(make, monkeypatch, library):
    import sys

    for name in [one for one in sys.modules if one.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        MissingLibrary, match=f"^{library} is needed to .* is not installed"
    ) as found:
        page.render([make["subject"]()])
    assert found.value.hint == "Install it with: pip install 'edgekit[report]'"

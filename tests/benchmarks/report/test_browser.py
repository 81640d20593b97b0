"""The page in a real browser: no foreign script runs, nothing is asked for, all is reached."""

from __future__ import annotations

import base64
import re

import msgspec
import pytest

from edgekit.benchmarks.report import page

WIDTHS = (360, 768, 1280)
EVIL = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>\"'🐈"


@pytest.fixture(scope="module")
def written(make, tmp_path_factory):
    """Write a page once, by name."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name, *subjects):
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(page.render(subjects), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def shipped(make, written):
    """A detector whose int8 is to be shipped, with a picture."""
    entries = [make["entry"](), make["entry"]("int8-u8s8", p50=5.0)]
    pictures = {"street/a.jpg": make["jpeg"]()}
    return written("shipped", make["subject"](entries, pictures=pictures))


@pytest.fixture(scope="module")
def several(make, written):
    """Three bundles side by side: a detector, a segmentation that fails, a classifier."""
    failing = make["entry"](
        "int8-u8s8", verdict="FAIL", checks=make["checks"](metric="FAIL", agreement="FAIL")
    )
    masks = make["details"]([failing], "segmentation")
    entries = [make["entry"](), make["entry"]("int8-u8s8", p50=5.0)]
    classes = make["details"](entries, "classification", classes=60)
    return written(
        "several",
        make["subject"](name="detector"),
        make["subject"]([failing], chosen=None, name="segments", details=masks),
        make["subject"](entries, name="classifier", details=classes),
    )


def texts(browser, selector):
    script = "return [...document.querySelectorAll(arguments[0])].map(one => one.innerText)"
    return browser.run(script, selector)


def test_the_recommended_variant_is_the_first_thing_read(browser, shipped):
    browser.open(shipped)
    (headline,) = texts(browser, "#recommended .headline")
    assert headline.startswith("Ship int8-u8s8 in fp32 on openvino:cpu")
    assert "PASS" in headline
    bottom = (
        "return document.querySelector('#recommended .headline').getBoundingClientRect().bottom"
    )
    assert browser.run(bottom) < 400


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_no_script_fails_nothing_is_asked_for_and_nothing_sticks_out(
    browser, shipped, several, width, dark
):
    for path in (shipped, several):
        browser.open(path, width=width, dark=dark)
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.complaints() == []
        assert browser.requests() == [path.as_uri()]


def test_each_width_shows_the_drawing_made_for_it(browser, shipped):
    for width, shown, hidden in ((360, ".narrow", ".wide"), (1280, ".wide", ".narrow")):
        browser.open(shipped, width=width)
        height = "return document.querySelector(arguments[0]).getBoundingClientRect().height"
        assert browser.run(height, shown) > 100
        assert browser.run(height, hidden) == 0


def test_letters_of_drawings_can_be_read_on_a_phone(browser, shipped):
    browser.open(shipped, width=360)
    script = """
        const svg = document.querySelector(".narrow svg.chart");
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return [...svg.querySelectorAll("text")].map(
            one => scale * parseFloat(getComputedStyle(one).fontSize));
    """
    assert min(browser.run(script)) > 9


def test_the_page_follows_the_system_and_its_button(browser, shipped):
    paper = "return getComputedStyle(document.body).backgroundColor"
    browser.open(shipped, dark=True)
    assert browser.run(paper) == "rgb(20, 23, 27)"
    browser.open(shipped)
    assert browser.run(paper) == "rgb(255, 255, 255)"
    ink = "return getComputedStyle(document.querySelector('.wide svg.chart text')).fill"
    light = browser.run(ink)
    browser.run("document.getElementById('theme').click()")
    assert browser.run(paper) == "rgb(20, 23, 27)"
    assert browser.run(ink) != light
    assert browser.run("return document.getElementById('theme').ariaPressed") == "true"
    browser.run("document.getElementById('theme').click(); localStorage.clear()")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, shipped):
    browser.open(shipped)
    reached = []
    script = """
        const one = document.activeElement;
        const name = one.id || one.getAttribute("href") || one.tagName;
        return [name, getComputedStyle(one).outlineStyle];
    """
    for _ in range(60):
        browser.press("Tab")
        name, outline = browser.run(script)
        if name == "BODY":
            break
        reached.append(name)
        assert outline != "none", f"{name} does not show that it has the focus"
    assert reached[0] == "#main"
    assert reached[1] == "theme"
    assert "#checks" in reached
    assert reached.count("SUMMARY") == browser.run(
        "return document.querySelectorAll('summary').length"
    )
    regions = browser.run("return document.querySelectorAll('.scroll').length")
    assert reached.count("DIV") == regions


def test_the_keyboard_turns_the_colours_and_opens_what_is_closed(browser, shipped):
    browser.open(shipped)
    browser.run("document.getElementById('theme').focus()")
    browser.press("Enter")
    assert browser.run("return document.documentElement.dataset.theme") == "dark"
    browser.run("localStorage.clear()")
    closed = "return document.querySelector('details:not([open])')"
    one = browser.run(closed)
    browser.run("arguments[0].querySelector('summary').focus()", one)
    browser.press("Enter")
    assert browser.run("return arguments[0].open", one)


def test_on_paper_everything_is_open_and_light(browser, shipped):
    browser.open(shipped, dark=True)
    browser.cdp("Emulation.setEmulatedMedia", media="print", features=[])
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run("return document.querySelectorAll('details:not([open])').length") == 0
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run("return document.querySelectorAll('details:not([open])').length") > 0
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("return getComputedStyle(document.querySelector('.scroll')).overflowX") == (
        "visible"
    )
    browser.cdp("Emulation.setEmulatedMedia", media="", features=[])


def test_on_paper_no_table_is_cut(browser, several):
    """A4 less its margins is 182 mm wide, 688 CSS pixels."""
    browser.open(several, width=688)
    browser.cdp("Emulation.setEmulatedMedia", media="print", features=[])
    browser.run("dispatchEvent(new Event('beforeprint'))")
    script = """
        return [...document.querySelectorAll("table")]
            .map(one => [one.caption && one.caption.innerText, one.getBoundingClientRect().right])
            .filter(one => one[1] > 689);
    """
    assert browser.run(script) == []
    browser.cdp("Emulation.setEmulatedMedia", media="", features=[])


def test_a_pdf_is_made_of_it(browser, shipped):
    browser.open(shipped)
    content = base64.b64decode(browser.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 12


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation(browser, shipped, several, dark):
    """WCAG 2.1 A and AA: contrast, names, landmarks, headings, tables."""
    for path in (shipped, several):
        browser.open(path, dark=dark)
        assert browser.violations() == []


def test_no_label_file_or_card_runs_a_script(browser, make, written):
    entry = make["entry"](EVIL, target=EVIL, compute=EVIL, reasons=(EVIL,), valid=False)
    entry = msgspec.structs.replace(
        entry, metric=msgspec.structs.replace(entry.metric, name=EVIL), error=""
    )
    subjects = [
        make["subject"](
            [entry],
            chosen=0,
            name=EVIL,
            model=EVIL,
            task=EVIL,
            labels=(EVIL,) * 60,
            reference=EVIL,
            source={EVIL: EVIL},
            recipe=EVIL,
            commands=[(EVIL, EVIL)],
            damage=[EVIL],
            notes=[EVIL],
            pictures_note=EVIL,
            pictures={EVIL: make["jpeg"]()},
            details=make["details"]([entry], task, image=EVIL, classes=60),
        )
        for task in ("detection", "classification", "segmentation")
    ]
    path = written("evil", *subjects)
    browser.open(path)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert browser.run("return typeof window.hacked") == "undefined"
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return document.images.length") == 0
    assert browser.requests() == [path.as_uri()]
    assert browser.complaints() == []
    # The label is there, to be read.
    assert EVIL in browser.run("return document.body.innerText")


def test_a_script_that_got_into_the_page_would_not_run(browser, shipped, tmp_path):
    """The second line of defence: whatever is not escaped is refused by the page's own policy."""
    path = tmp_path / "cracked.html"
    text = shipped.read_text().replace(
        "<footer>", "<script>window.hacked=1</script><img src=x onerror='hacked=1'><footer>"
    )
    path.write_text(text)
    browser.open(path)
    assert browser.run("return typeof window.hacked") == "undefined"
    assert len(browser.complaints()) >= 2


def test_the_page_is_whole_without_scripts(browser, shipped):
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(shipped)
        document = browser.cdp("DOM.getDocument")["root"]["nodeId"]
        button = browser.cdp("DOM.querySelector", nodeId=document, selector="#theme[hidden]")
        assert button["nodeId"]
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)


def test_the_file_of_all_classes_is_whole(browser, several):
    browser.open(several)
    address = browser.run("return document.querySelector('a[download]').href")
    assert address.startswith("data:text/csv")
    content = base64.b64decode(address.partition("base64,")[2])
    assert content.count(b"\n") == 61

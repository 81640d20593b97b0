"""The page in a real browser: pictures move, states are said, controls reach the demo."""

from __future__ import annotations

import base64
import threading
import time

import cv2
import numpy as np
import pytest
from fakes import LABELS, FakeMeter, view_of

from edgekit.demo.controls import Controls
from edgekit.demo.web.page import WebPage

WIDTHS = (400, 800, 1440)
EVIL = "</script><script>window.hacked=1</script><img src=x onerror=hacked=1>\"'🐈"


class Address:
    """What Browser.open takes."""

    def __init__(self, page):
        self.page = page

    def as_uri(self):
        return self.page.url


def wait(browser, script, expected=True, seconds=120):
    """Ask until a script returns what is expected."""
    deadline = time.monotonic() + seconds
    while (found := browser.run(f"return {script}")) != expected:
        assert time.monotonic() < deadline, f"{script} is {found!r}, not {expected!r}"
        time.sleep(0.05)


def text(name):
    return f"document.getElementById('{name}').textContent"


NUMBER = "Number(document.getElementById('picture').dataset.number ?? -1)"


@pytest.fixture
def look(browser, page, camera):
    """Open a page whose camera runs, and wait for its first picture; return the camera."""

    def open_page(**options):
        running = camera(page, **options.pop("camera", {}))
        browser.open(Address(page), **options)
        wait(browser, f"{NUMBER} >= 0")
        wait(browser, text("state"), "live")
        return running

    yield open_page
    browser.driver.get("about:blank")


def test_the_picture_appears_and_is_the_newest_frame(browser, look):
    running = look()
    first = browser.run(f"return {NUMBER}")
    wait(browser, f"{NUMBER} > {first + 10}")
    running.paused.set()
    wait(browser, NUMBER, running.number - 1)
    wait(browser, "document.getElementById('picture').dataset.aged", str(running.number - 1))
    data = browser.run("return document.getElementById('picture').toDataURL()")
    shown = cv2.imdecode(
        np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR
    )
    expected = cv2.resize(view_of(running.number - 1).picture, shown.shape[1::-1])
    assert np.median(np.abs(shown.astype(int) - expected)) <= 3


def test_the_age_is_that_of_the_picture_on_the_page(browser, look, meter):
    look()
    wait(browser, "document.getElementById('picture').dataset.age !== undefined")
    age = browser.run("return Number(document.getElementById('picture').dataset.age)")
    ages = [(shown - captured) / 1e6 for captured, shown in meter.shown_frames]
    assert min(ages) > 15
    assert min(abs(age - each) for each in ages) < 0.1
    wait(browser, "document.getElementById('pill').hidden", False)


def test_a_camera_slower_than_the_page_has_every_frame_shown_once(browser, look, meter, page):
    running = look()
    running.close()
    wait(browser, "document.getElementById('picture').dataset.aged", str(running.number - 1))
    shown = len(meter.shown_frames)
    for number in range(running.number, running.number + 8):
        page.show(view_of(number))
        wait(browser, "document.getElementById('picture').dataset.aged", str(number))
    assert len(meter.shown_frames) == shown + 8


@pytest.mark.parametrize("state", ["connecting", "stalled", "reconnecting", "ended"])
def test_every_state_of_the_source_is_said_with_its_reason(browser, look, meter, state):
    look()
    meter.change(state, f"Because of {state}.")
    wait(browser, text("state"), state)
    wait(browser, text("veil"), f"Because of {state}.")
    meter.change("live")
    wait(browser, text("state"), "live")
    wait(browser, text("veil"), "")


def test_a_state_without_a_reason_is_said_in_words(browser, look, meter):
    look()
    meter.change("stalled")
    wait(browser, text("veil"), "The source sends no frames.")


def test_the_slider_moves_the_threshold(browser, look, controls):
    look()
    assert browser.run(f"return {text('confidence-value')}") == "the model’s own"
    browser.run("document.getElementById('confidence').focus()")
    browser.run(
        """const one = document.getElementById("confidence");
        one.value = 0.6; one.dispatchEvent(new Event("input"))"""
    )
    wait(browser, text("confidence-value"), "0.60")
    deadline = time.monotonic() + 120
    while controls.setting.confidence != 0.6:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # What another page sets is shown here.
    controls.set_confidence(0.1)
    wait(browser, text("confidence-value"), "0.10")
    assert browser.run("return document.getElementById('confidence').value") == "0.1"


def shown_classes(controls):
    chosen = controls.setting.classes
    return None if chosen is None else {LABELS[each] for each in chosen}


def settles(controls, expected, seconds=120):
    deadline = time.monotonic() + seconds
    while shown_classes(controls) != expected:
        assert time.monotonic() < deadline, shown_classes(controls)
        time.sleep(0.02)


def test_classes_are_searched_ticked_and_unticked(browser, look, controls):
    look()
    wait(browser, text("classes-count"), "8 of 8")
    browser.run("document.getElementById('none').click()")
    settles(controls, set())
    browser.run(
        """const find = document.getElementById("find");
        find.value = "CA"; find.dispatchEvent(new Event("input"))"""
    )
    visible = """[...document.querySelectorAll("#list label")]
        .filter((one) => !one.hidden).map((one) => one.textContent).join()"""
    wait(browser, visible, "car,cat")
    browser.run("document.getElementById('all').click()")
    settles(controls, {"car", "cat"})
    wait(browser, text("classes-count"), "2 of 8")
    browser.run("document.querySelector('#list input[value=car]').click()")
    settles(controls, {"cat"})
    browser.run(
        """const find = document.getElementById("find");
        find.value = "zebra"; find.dispatchEvent(new Event("input"))"""
    )
    wait(browser, "document.getElementById('list-empty').hidden", False)
    browser.run(
        """const find = document.getElementById("find");
        find.value = ""; find.dispatchEvent(new Event("input"));
        document.getElementById("all").click()"""
    )
    settles(controls, None)


def test_a_change_that_is_refused_is_said(browser, look, controls):
    look()
    browser.run("document.querySelector('#list input').value = 'nothing'")
    browser.run("document.querySelectorAll('#list input')[1].click()")
    wait(browser, f"{text('controls-trouble')}.includes(\"no class 'nothing'\")")
    assert shown_classes(controls) is None


def test_the_figures_are_those_of_the_document(browser, look, meter):
    look()
    meter.note("The disk is full: the recording ended.")
    wait(browser, text("age-result"), "17.4")
    wait(browser, text("fps-inference"), "29.6")
    wait(browser, text("dropped"), "20")
    wait(browser, text("model"), "yolox-nano")
    wait(browser, "[...document.querySelectorAll('#notes li')].map((one) => one.textContent)[0]",
         "The disk is full: the recording ended.")  # fmt: skip
    stages = browser.run(
        "return [...document.querySelectorAll('#fall tr')].map((one) => one.cells[0].textContent)"
    )
    assert stages[:7] == [*("read", "wait", "preprocess", "queue", "inference"), *stages[5:7]]
    assert stages[-2:] == ["age at result", "age at display"]
    assert "encode" in stages
    rows = browser.run(
        "return [...document.querySelectorAll('#found th')].map((one) => one.textContent)"
    )
    assert rows == ["person", "car", "dog"]
    bar = """const bars = [...document.querySelectorAll("#fall .rail i:last-child")];
        return bars.map((one) => [one.offsetLeft, one.offsetWidth])"""
    bars = browser.run(bar)
    assert [left for left, _ in bars] == sorted(left for left, _ in bars)
    assert max(width for _, width in bars) == bars[4][1]


def test_a_lost_connection_is_said_and_made_again(browser, controls, meter, camera):
    page = WebPage(controls, meter, port=0)
    page.start()
    first = camera(page, first=5000)
    browser.open(Address(page))
    wait(browser, f"{NUMBER} >= 5000")
    first.close()
    page.close()
    wait(browser, text("state"), "no connection")
    wait(browser, f"{text('veil')}.startsWith('The connection to edgekit is lost')")
    again = WebPage(controls, meter, port=int(page.url.rpartition(":")[2].strip("/")))
    again.start()
    try:
        # It counts from 0 again, and is shown all the same.
        camera(again)
        wait(browser, text("state"), "live")
        wait(browser, f"{NUMBER} >= 0 && {NUMBER} < 5000")
        wait(browser, text("veil"), "")
    finally:
        browser.driver.get("about:blank")
        again.close()


def test_a_server_that_answers_no_more_is_said_within_seconds(browser, look, page):
    look()
    # The loop hangs, the sockets stay open.
    go_on = threading.Event()
    page._loop.call_soon_threadsafe(go_on.wait)
    wait(browser, text("state"), "no connection")
    go_on.set()
    wait(browser, text("state"), "live")


def test_with_a_link_from_elsewhere_the_page_opens_at_a_clean_address(browser, serve, camera):
    page = serve(host="0.0.0.0")
    camera(page)
    browser.open(Address(page))
    wait(browser, f"{NUMBER} >= 0")
    assert browser.run("return location.pathname + location.search") == "/"
    assert browser.run("return document.cookie") == ""
    browser.driver.get("about:blank")


def test_pages_beyond_the_limit_say_so(browser, serve, camera):
    page = serve(viewers=0)
    camera(page)
    browser.open(Address(page))
    wait(browser, text("veil"), "0 pages look on already, which is the limit.")
    browser.driver.get("about:blank")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_nothing_foreign_is_asked_for_and_no_script_fails(
    browser, look, page, width, dark
):
    look(width=width, dark=dark)
    wait(browser, "document.getElementById('pill').hidden", False)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    cut = """return [...document.querySelectorAll(".tile dd, .tile dt, .chips li")]
        .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"""
    assert browser.run(cut) == []
    assert browser.complaints() == []
    assert {address.startswith(page.url) for address in browser.requests()} == {True}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("state", ["live", "reconnecting"])
def test_axe_finds_no_violation(browser, look, meter, dark, state):
    """WCAG 2.1 A and AA: contrast, names, landmarks, headings, tables."""
    look(dark=dark)
    meter.note("The disk is full.")
    meter.change(state, "It broke off." if state != "live" else "")
    wait(browser, text("state"), state)
    wait(browser, "document.querySelectorAll('#notes li').length", 1)
    assert browser.violations() == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser, look):
    look()
    reached = []
    script = """
        const one = document.activeElement;
        const name = one.id || one.getAttribute("href") || one.value || one.tagName;
        return [name, getComputedStyle(one).outlineStyle];
    """
    for _ in range(60):
        browser.press("Tab")
        name, outline = browser.run(script)
        if name == "BODY":
            break
        reached.append(name)
        assert outline != "none", f"{name} does not show that it has the focus"
    assert reached[0] == "#controls"
    assert {"full", "confidence", "find", "all", "none", "snapshot.jpg", *LABELS} <= set(reached)


def test_no_name_of_a_model_a_class_or_a_source_runs_a_script(browser, camera):
    controls = Controls((EVIL,))
    meter = FakeMeter(controls)
    meter.model, meter.labels = EVIL, (EVIL, "other")
    meter.note(EVIL)
    page = WebPage(controls, meter, port=0)
    page.start()
    try:
        meter.change("stalled", EVIL)
        browser.open(Address(page))
        page.show(view_of(0, boxes=((0, 0.9, 10, 10, 50, 50),), labels=(EVIL,)))
        wait(browser, text("veil"), EVIL)
        wait(browser, text("model"), EVIL)
        wait(browser, "document.querySelectorAll('#found th').length", 1)
        assert browser.run("return typeof window.hacked") == "undefined"
        assert browser.run("return document.scripts.length") == 1
        assert browser.complaints() == []
    finally:
        browser.driver.get("about:blank")
        page.close()


def test_a_tab_that_nobody_sees_asks_for_no_pictures(browser, look, page):
    look()
    browser.driver.switch_to.new_window("tab")
    try:
        wait(browser, "document.visibilityState", "visible")
        deadline = time.monotonic() + 120
        while page.wants_picture:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(browser.driver.window_handles[0])

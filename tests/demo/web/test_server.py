"""What the server answers: frames, the demo so far, controls, health, metrics, and bad requests."""

from __future__ import annotations

import threading
import time

import cv2
import jsonschema
import msgspec
import numpy as np
import pytest
from fakes import LABELS, Client, view_of
from prometheus_client.parser import text_string_to_metric_families

from edgekit.benchmarks.schemas import load_schema
from edgekit.core.documents import DemoHealthDocument, DemoStateDocument
from edgekit.demo.output import AnsweredFrame
from edgekit.demo.web.files import FILES
from edgekit.demo.web.moment import found_in
from edgekit.tasks.predictions import ClassPrediction, MaskPrediction, RawPrediction, Timings

NO_TIME = Timings(0, 0, 0, 0)


def pixels_of(reply):
    return cv2.imdecode(np.frombuffer(reply.body, np.uint8), cv2.IMREAD_COLOR)


def validate(kind, reply):
    jsonschema.Draft202012Validator(load_schema(kind)).validate(reply.json)


def test_a_frame_comes_with_its_number_age_and_size(page, client):
    page.show(view_of(7, age_ms=20))
    reply = client.get("/frame?after=6&width=1280&client=a")
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["Frame-Number"] == "7"
    assert reply.headers["Frame-Size"] == "1280x720"
    assert 20 <= float(reply.headers["Frame-Result-Age-Ms"]) < 100
    assert 20 <= float(reply.headers["Frame-Age-Ms"]) < 5000
    difference = np.abs(pixels_of(reply).astype(int) - view_of(7).picture)
    assert np.median(difference) <= 2


def test_a_page_waits_for_a_frame_newer_than_its_own(page, client):
    page.show(view_of(7))
    threading.Timer(0.3, page.show, [view_of(9)]).start()
    start = time.monotonic()
    assert client.get("/frame?after=7&client=a").headers["Frame-Number"] == "9"
    assert time.monotonic() - start >= 0.25


def test_a_page_gets_the_newest_and_never_one_in_between(page, client):
    for number in range(5):
        page.show(view_of(number))
    assert client.get("/frame?after=0&client=a").headers["Frame-Number"] == "4"


def test_a_frame_is_encoded_once_however_many_pages_show_it(serve, meter):
    page = serve()
    replies = []
    ask = lambda: replies.append(Client(page).get("/frame?after=3&width=1280"))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while not page.wants_picture:
        time.sleep(0.01)
    time.sleep(0.3)
    page.show(view_of(4))
    for thread in threads:
        thread.join()
    assert {reply.headers["Frame-Number"] for reply in replies} == {"4"}
    assert [name for name, _ in meter.stages] == ["encode"]
    assert meter.stages[0][1] > 0


def test_nothing_is_encoded_while_nobody_looks(page, meter):
    for number in range(20):
        page.show(view_of(number))
    time.sleep(0.1)
    assert meter.stages == []
    assert not page.wants_picture


@pytest.mark.parametrize(
    ("asked", "given"), [(1, 320), (400, 480), (960, 960), (1279, 1280), (9999, 1280)]
)
def test_a_picture_is_no_wider_than_a_page_can_show(page, client, asked, given):
    page.show(view_of(0))
    reply = client.get(f"/frame?width={asked}")
    assert pixels_of(reply).shape == (given * 9 // 16, given, 3)
    assert reply.headers["Frame-Size"] == "1280x720"


def test_pictures_are_wanted_while_a_page_asks_and_a_second_longer(page, client, wait_until):
    page.show(view_of(0))
    client.get("/frame")
    assert page.wants_picture
    wait_until(lambda: not page.wants_picture, "the end of the second")


def test_a_page_that_comes_while_the_source_is_silent_gets_the_last_frame(page, client):
    page.show(view_of(3, picture=False))
    reply = client.get("/frame")
    assert reply.headers["Frame-Number"] == "3"
    assert np.median(np.abs(pixels_of(reply).astype(int) - view_of(3).picture)) <= 2


def test_a_view_without_a_task_is_shown_as_it_is(page, client):
    view = view_of(3, picture=False)
    page.show(AnsweredFrame(view.answer, RawPrediction({}, NO_TIME), None))
    assert client.get("/snapshot.jpg").status == 200


def test_no_frame_yet_is_no_content(page, client, monkeypatch):
    monkeypatch.setattr("edgekit.demo.web.server._POLL_S", 0.2)
    assert client.get("/frame").status == 204
    assert client.get("/snapshot.jpg").status == 503


def test_the_age_of_a_frame_is_known_once_a_page_says_that_it_was_drawn(page, client, meter):
    page.show(view_of(5, age_ms=30))
    client.get("/frame")
    time.sleep(0.2)
    age = client.post("/drawn?number=5").json["age_ms"]
    assert age >= 230
    ((captured_ns, shown_ns),) = meter.shown_frames
    assert abs((shown_ns - captured_ns) / 1e6 - age) < 1
    # The second page that shows it is told its age, but the frame was shown before.
    assert client.post("/drawn?number=5").json["age_ms"] > age
    assert len(meter.shown_frames) == 1


@pytest.mark.parametrize("number", [-1, 4, 10**30])
def test_a_frame_that_was_never_sent_was_not_shown(page, client, meter, number):
    page.show(view_of(5))
    client.get("/frame")
    assert client.post(f"/drawn?number={number}").json == {"age_ms": None}
    assert meter.shown_frames == []


def test_the_state_is_the_document_and_what_is_in_the_newest_frame(page, client):
    page.show(view_of(11))
    reply = client.get("/state")
    validate("demo-state", reply)
    state = msgspec.json.decode(reply.body, type=DemoStateDocument)
    assert (state.frame, state.found_total) == (11, 3)
    assert state.found[1].label == "car"
    assert state.found[1].box == (560, 380, 940, 610)
    assert state.found[1].colour.startswith("#")
    assert state.demo.labels == LABELS


def test_before_the_first_frame_there_is_a_state_too(client, meter):
    meter.state = "connecting"
    reply = client.get("/state")
    validate("demo-state", reply)
    assert reply.json["frame"] is None


def test_many_readers_ask_the_meter_a_few_times_a_second(client, meter):
    client.get("/state")
    asked = meter.asked
    start = time.monotonic()
    for _ in range(30):
        client.get("/state")
    assert meter.asked - asked <= 1 + (time.monotonic() - start) / 0.1


def test_other_tasks_are_named_without_boxes():
    scores = ClassPrediction(np.float32([0.1, 0.7, np.nan]), ("a", "b", "c"), (4, 4), NO_TIME)
    found = found_in(scores)
    assert [(one.label, one.box) for one in found[:2]] == [("b", None), ("a", None)]
    assert found[2].score is None
    masks = MaskPrediction(np.uint8([[0, 1], [1, 1]]), ("road", "sky"), (2, 2), NO_TIME)
    assert [(one.label, one.score) for one in found_in(masks)] == [("sky", 0.75), ("road", 0.25)]
    assert found_in(RawPrediction({}, NO_TIME)) == ()


def test_controls_are_changed_together_or_not_at_all(client, controls):
    reply = client.post("/controls", {"confidence": 0.35, "classes": ["car", "dog"]})
    assert reply.status == 200
    assert reply.json["demo"]["classes"] == ["car", "dog"]
    assert controls.setting.confidence == 0.35
    assert client.post("/controls", {"confidence": 0.9, "classes": ["carr"]}).status == 400
    assert controls.setting.confidence == 0.35
    client.post("/controls", {"classes": []})
    assert controls.setting.classes == frozenset()
    client.post("/controls", {"classes": None})
    assert controls.setting.classes is None
    assert controls.setting.confidence == 0.35


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"confidence": 1.5}', "between 0 and 1"),
        ('{"confidence": "high"}', "change of the controls"),
        ('{"confidence": NaN}', "change of the controls"),
        ('{"classes": ["carr"]}', "no class 'carr'. Did you mean 'car'?"),
        ('{"classes": [3.5]}', "change of the controls"),
        ('{"stop": true}', "change of the controls"),
        ("[]", "change of the controls"),
        ("", "change of the controls"),
        ('{"confidence": 0.', "change of the controls"),
    ],
)
def test_a_wrong_change_is_one_sentence(client, controls, body, expected):
    reply = client.get("/controls", method="POST", body=body)
    assert reply.status == 400
    validate("error", reply)
    assert expected in f"{reply.json['message']} {reply.json['hint']}"
    assert controls.setting.confidence is None


def test_a_body_without_end_is_refused(client):
    reply = client.get("/controls", method="POST", body=b"[" * (1 << 19))
    assert reply.status == 413
    assert reply.text.count("\n") == 1


@pytest.mark.parametrize("query", ["after=x", "width=0", "width=-3", "width=1e9", "after=1.5"])
def test_a_wrong_request_for_a_frame_is_one_sentence(page, client, query):
    page.show(view_of(0))
    reply = client.get(f"/frame?{query}")
    assert reply.status == 400
    validate("error", reply)


def test_it_is_healthy_while_the_source_is_live_and_frames_are_answered(page, client, meter):
    reply = client.get("/health")
    validate("demo-health", reply)
    assert (reply.status, reply.json["reason"]) == (503, "No frame was answered yet.")
    page.show(view_of(0))
    reply = client.get("/health")
    health = msgspec.json.decode(reply.body, type=DemoHealthDocument)
    assert (reply.status, health.healthy, health.state, health.reason) == (200, True, "live", "")
    assert 0 <= health.last_answer_s < 5
    meter.change("stalled", "No frame for 2 s.")
    time.sleep(0.15)
    reply = client.get("/health")
    assert (reply.status, reply.json["reason"]) == (503, "No frame for 2 s.")


def test_a_live_source_whose_frames_are_not_answered_is_not_healthy(page, client, monkeypatch):
    page.show(view_of(0))
    monkeypatch.setattr("edgekit.demo.web.moment._SILENCE_S", 0.1)
    time.sleep(0.2)
    assert client.get("/health").status == 503


def test_metrics_are_what_prometheus_reads(page, client, meter):
    meter.model = 'a"b\\c\nd'
    meter.change("reconnecting", "gone")
    page.show(view_of(0))
    client.get("/frame?client=a")
    reply = client.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    families = {one.name: one for one in text_string_to_metric_families(reply.text)}
    samples = {
        (one.name, *sorted(one.labels.items())): one.value
        for family in families.values()
        for one in family.samples
    }
    assert samples["edgekit_demo_frames_total",] == 1480
    assert samples["edgekit_demo_dropped_total",] == 20
    assert samples["edgekit_demo_frames_per_second", ("at", "camera")] == 30
    stage = ("stage", "inference")
    assert samples["edgekit_demo_stage_seconds", ("quantile", "0.5"), stage] == pytest.approx(
        0.0118
    )
    assert samples["edgekit_demo_stage_seconds_count", stage] == 700
    assert families["edgekit_demo_stage_seconds"].type == "summary"
    age = samples["edgekit_demo_frame_age_seconds", ("at", "result"), ("quantile", "0.9")]
    assert age == pytest.approx(17.4 * 1.6 / 1000)
    states = {
        dict(key[1:])["state"]: value
        for key, value in samples.items()
        if key[0] == "edgekit_demo_source_state"
    }
    assert sum(states.values()) == states["reconnecting"] == 1
    assert set(states) == {"connecting", "live", "stalled", "reconnecting", "ended"}
    assert samples["edgekit_demo_viewers",] == 1
    (info,) = families["edgekit_demo_info"].samples
    assert info.labels["model"] == 'a"b\\c\nd'


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/page.html", "/../page.py", "/..%2f..%2fpyproject.toml", "/page.py"),
        *("//etc/passwd", "/static/../access.py", "/%2e%2e/access.py", "/page.css/", "/é"),
    ],
)
def test_a_path_outside_is_one_sentence(client, path):
    reply = client.get(path.replace("é", "%C3%A9"))
    assert reply.status == 404
    assert reply.text == "There is nothing here; the page is at /.\n"


def test_a_wrong_method_is_one_sentence(client):
    for method, path in (("DELETE", "/state"), ("POST", "/"), ("GET", "/controls")):
        reply = client.get(path, method=method)
        assert reply.status == 405
        assert reply.text == "Method Not Allowed.\n"


@pytest.mark.parametrize("path", ["/", "/state", "/nothing", "/frame?after=x", "/metrics"])
def test_every_answer_forbids_what_the_page_does_not_need(client, path):
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "edgekit"


@pytest.mark.parametrize("path", FILES)
def test_the_files_of_the_page_are_served_whole(client, path):
    reply = client.get(path)
    assert reply.status == 200
    assert reply.headers["Content-Type"].partition(";")[0] == FILES[path][1]
    assert len(reply.body) > 100


def test_a_failure_of_our_own_is_one_sentence_too(client, meter, monkeypatch):
    monkeypatch.setattr(meter, "document", lambda: 1 / 0)
    reply = client.get("/state")
    assert (reply.status, reply.text) == (500, "edgekit failed to answer this.\n")

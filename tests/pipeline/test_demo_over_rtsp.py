"""The demo on a network camera that freezes, dies and comes back, as its page tells it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytest.importorskip("av")
pytest.importorskip("aiohttp")


@pytest.fixture
def demo(shapes_onnx, tmp_path):
    """Start the demo on an address; returns its page's address, the child, and its summary."""
    children = []

    def start(source):
        stats = tmp_path / "stats.json"
        command = [sys.executable, "-m", "edgekit", "demo", str(shapes_onnx), "--source", source]
        command += ["--target", "openvino:cpu", "--display", "web", "--port", "0"]
        command += ["--stats", str(stats)]
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        children.append(child)
        page = next((line.split()[-1] for line in child.stderr if "The page: " in line), None)
        assert page is not None, "the demo ended"
        return page, child, stats

    yield start
    for child in children:
        child.kill()
        child.communicate()


def _answer(page, path):
    try:
        with urllib.request.urlopen(page + path, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _until(page, what, holds, seconds=180):
    limit = time.monotonic() + seconds
    while True:
        _, state = _answer(page, "state")
        if holds(state["demo"]):
            return state["demo"]
        assert time.monotonic() < limit, f"waited for {what}: {state}"
        time.sleep(0.05)


def test_the_page_tells_what_becomes_of_the_camera(rtsp, demo):
    page, child, stats = demo(rtsp.address)
    _until(page, "frames", lambda one: one["frames"] > 5)
    assert _answer(page, "health")[0] == 200

    rtsp.freeze()
    _until(page, "a stall", lambda one: one["source"]["state"] in ("stalled", "reconnecting"))
    status, health = _answer(page, "health")
    assert status == 503
    assert health["state"] in ("stalled", "reconnecting")
    frozen = _until(page, "it", lambda one: True)
    time.sleep(1)
    still = _until(page, "it", lambda one: True)
    assert still["frames"] <= frozen["frames"] + 1, "nothing is made up meanwhile"

    rtsp.kill()
    rtsp.start(480, 272)
    _until(
        page,
        "the new size",
        lambda one: one["source"]["state"] == "live" and one["source"]["width"] == 480,
    )
    again = _until(page, "frames", lambda one: True)
    _until(page, "more frames", lambda one: one["frames"] > again["frames"] + 5)

    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=120)
    assert child.returncode == 0
    document = json.loads(stats.read_bytes())
    states = [event["state"] for event in document["events"]]
    assert states[:3] == ["connecting", "live", "stalled"]
    assert "reconnecting" in states[3:]
    assert states[-2:] == ["live", "ended"]
    assert (document["source"]["width"], document["source"]["height"]) == (480, 272)

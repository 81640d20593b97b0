"""The age that the page reports, against the time stamp in the pictures that a browser shows."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

from edgekit.demo.stamp import read_stamp

# Notes every frame as it is drawn: its number, the browser's clock, and the strip with the stamp;
# then the age that the server reports for it.
WATCH = """
const canvas = document.getElementById("picture");
const brush = canvas.getContext("2d");
window.drawn = [];
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.attributeName === "data-number") {
      const now = performance.timeOrigin + performance.now();
      const [width, height] = [canvas.width, canvas.height];
      const rows = Math.ceil(height / 15);
      const strip = brush.getImageData(0, height - rows, Math.ceil(width / 3) + 1, rows);
      window.drawn.push({
        number: Number(canvas.dataset.number), now, width, height, rows,
        columns: strip.width, pixels: Array.from(strip.data.filter((_, at) => at % 4 === 0)),
      });
    } else {
      const one = window.drawn.find((each) => each.number === Number(canvas.dataset.aged));
      if (one) {
        one.age = Number(canvas.dataset.age);
        one.told = performance.timeOrigin + performance.now();
      }
    }
  }
}).observe(canvas, { attributes: true, attributeFilter: ["data-number", "data-aged"] });
"""
READY = "return window.drawn.filter((one) => one.age !== undefined).length"
RESULT = "return window.drawn.filter((one) => one.age !== undefined)"


class Address:
    """What Browser.open takes."""

    def __init__(self, url):
        self.url = url

    def as_uri(self):
        return self.url


@pytest.fixture(scope="module")
def page(browser, shapes_onnx):
    """The address of a demo of generated scenes that runs in a child."""
    pytest.importorskip("aiohttp")
    command = [sys.executable, "-m", "edgekit", "demo", str(shapes_onnx), "--display", "web"]
    command += ["--source", "synthetic", "--port", "0", "--target", "openvino:cpu"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        address = next((line.split()[-1] for line in child.stderr if "The page: " in line), None)
        assert address is not None, "it ended"
        yield address
    finally:
        child.terminate()
        child.communicate(timeout=120)


def test_the_age_reported_is_the_age_of_the_picture(page, browser, wait_until):
    browser.open(Address(page))
    browser.run(WATCH)
    wait_until(lambda: browser.run(READY) >= 20, "ages")
    frames = browser.run(RESULT)
    differences, ages = [], []
    for one in frames:
        picture = np.zeros((one["height"], one["width"], 3), np.uint8)
        strip = np.array(one["pixels"], np.uint8).reshape(one["rows"], one["columns"])
        picture[-one["rows"] :, : one["columns"]] = strip[..., None]
        stamp = read_stamp(picture)
        assert stamp is not None, "the stamp is read from the page"
        assert stamp.number == one["number"] % 4096, "it is the frame that the page says it is"
        ages.append(one["age"])
        differences.append(one["age"] - (one["now"] - stamp.milliseconds))
        # What is reported ends when the report arrives at the server: after the picture was drawn,
        # before the page was told. The stamp is whole milliseconds of another clock.
        assert one["now"] - 3 < stamp.milliseconds + one["age"] < one["told"] + 3
    print(
        f"median age {statistics.median(ages):.1f} ms, reported more by "
        f"{statistics.median(differences):.1f} ms, of {len(frames)} frames"
    )


def test_pictures_that_are_shown_are_never_older_than_those_before(page, browser):
    browser.open(Address(page))
    browser.run(WATCH)
    time.sleep(3)
    numbers = [one["number"] for one in browser.run(RESULT)]
    assert numbers == sorted(set(numbers))

"""A page that runs, with a meter of the tests' own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fakes import LABELS, Camera, Client, FakeMeter

from edgekit.demo.controls import Controls
from edgekit.demo.web.page import WebPage


@pytest.fixture
def controls():
    return Controls(LABELS)


@pytest.fixture
def meter(controls):
    return FakeMeter(controls)


@pytest.fixture
def serve(controls, meter):
    """Start a page; ends all of them after the test."""
    pages = []

    def start(**options):
        page = WebPage(controls, meter, port=options.pop("port", 0), **options)
        page.start()
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()


@pytest.fixture
def page(serve):
    return serve()


@pytest.fixture
def client(page):
    return Client(page)


@pytest.fixture
def camera():
    """Make a camera for a page."""
    running = []

    def run(page, **options):
        running.append(Camera(page, **options))
        return running[-1]

    yield run
    for one in running:
        one.close()

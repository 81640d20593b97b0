"""The site builds with every warning an error, opens offline, and its links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from edgekit import api
from edgekit.cli.catalogue import COMMANDS
from edgekit.core import documents, errors
from edgekit.tasks import predictions

pytest.importorskip("sphinx")

# What a browser fetches by itself, by tag.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Html(HTMLParser):
    """What a page links to, fetches, and can be linked at."""

    def __init__(self, text):
        super().__init__()
        self.links, self.fetched, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found["id"]} if "id" in found else set()
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in FETCHED and found.get(FETCHED[tag]):
            self.fetched.append(found[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"),
            *("--doctree-dir", str(folder / "trees"), str(root / "docs"), str(folder / "html")),
        ],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return {
        page.relative_to(folder / "html").as_posix(): Html(page.read_text(encoding="utf-8"))
        for page in (folder / "html").rglob("*.html")
    }, folder / "html"


def test_every_page_of_the_docs_is_in_the_site(root, site):
    pages = {
        page.relative_to(root / "docs").with_suffix(".html").as_posix()
        for page in (root / "docs").rglob("*.md")
    }
    assert pages <= set(site[0])


def test_nothing_is_fetched_from_elsewhere(site):
    for name, page in site[0].items():
        for address in page.fetched:
            assert not urlsplit(address).netloc, f"{name} fetches {address}"


def test_every_link_within_the_site_leads_to_a_page_and_a_place(site):
    pages, folder = site
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
            assert target.is_file(), f"{name}: {link}"
            if parts.fragment and target.suffix == ".html":
                there = pages[target.resolve().relative_to(folder.resolve()).as_posix()]
                assert unquote(parts.fragment) in there.ids, f"{name}: {link}"


def test_the_commands_are_all_described(site):
    ids = site[0]["commands.html"].ids
    assert {f"edgekit-{name}" for name in COMMANDS} <= ids


def test_what_a_program_may_use_is_all_described(site):
    ids = set().union(*(page.ids for name, page in site[0].items() if name.startswith("api/")))
    program = {"edgekit.load", "edgekit.draw", "edgekit.Predictor"}
    modules = (api, documents, errors, predictions)
    others = {f"{one.__name__}.{name}" for one in modules for name in one.__all__}
    assert program | others - {"edgekit.core.documents.DOCUMENTS"} <= ids

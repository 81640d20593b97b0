"""The pages, followed each once in a folder of its own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from page_blocks import PAGES
from page_walk import environment, walk


@pytest.fixture(scope="session")
def followed(tool, tmp_path_factory):
    """A function of a page's name: follow the page, and return the folder that it was done in.

    One cache serves all pages: what two of them make is made once. A page that continues another
    begins with a copy of that one's folder.
    """
    surroundings = environment(tmp_path_factory.mktemp("cache"))
    done: dict[str, Path] = {}

    def follow(name: str) -> Path:
        if name not in done:
            page = PAGES[name]
            folder = tmp_path_factory.mktemp("page")
            if page.continues:
                shutil.copytree(follow(page.continues), folder, dirs_exist_ok=True)
            walk(page, folder, surroundings, tool)
            done[name] = folder
        return done[name]

    return follow

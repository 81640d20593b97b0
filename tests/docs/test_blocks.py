"""Every block of the pages is run, or says why not; every command in them exists."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml
from page_blocks import PAGES
from page_synopsis import known_options, problems
from page_walk import COMMON, OTHER

LANGUAGES = ("bash", "console", "json", "python", "text", "toml", "yaml")
# Pages that the site generator fills; all others are plain Markdown.
FILLED = ("docs/index.md", "docs/commands.md", "docs/api/")

# Why a block may be left out, and how many are. A new one is a decision: it changes a number.
NOT_RUN = {
    "sets up a clone of the repository": 2,
    "installs packages": 3,
    "needs a device": 11,
    "needs a server": 1,
    "needs a library that is not part of edgekit": 1,
    "needs results of two days": 1,
}
# Options in prose that are not edgekit's, and whose they are.
FOREIGN = {"--check": "run.py of a packed folder", "--includeDataTransfers": "trtexec"}

BLOCKS = [block for page in PAGES.values() for block in page.blocks]


def test_there_are_pages_and_blocks():
    assert len(PAGES) > 15
    assert sum(block.runs for block in BLOCKS) > 15


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_says_what_it_is(block):
    filled = block.page.startswith(FILLED) and block.language.startswith("{")
    assert filled or block.language in LANGUAGES, (
        f"{block.where}: a fence with one of {', '.join(LANGUAGES)}, please; "
        "what is indented or has no label is not run by the tests."
    )


def test_a_page_starts_known_programs_alone():
    # What a machine may lack is asked for before the page is followed.
    started = set().union(*(block.programs for block in BLOCKS if block.runs))
    assert started - COMMON == OTHER


def test_what_is_not_run_has_a_known_reason_and_is_counted():
    found = Counter(block.not_run for block in BLOCKS if block.not_run)
    assert dict(found) == NOT_RUN


def test_a_reason_stands_above_a_block_that_would_be_run():
    for page in PAGES.values():
        marked = [block for block in page.blocks if block.not_run]
        assert "".join(page.comments).count("<!-- not run:") == len(marked), page.name
        assert all(block.language in ("bash", "console", "python") for block in marked), page.name


def test_a_page_that_continues_another_names_one():
    for page in PAGES.values():
        seen = [page.name]
        while (before := PAGES[seen[-1]].continues) != "":
            assert before in PAGES, f"{page.name} continues {before}"
            assert before not in seen, f"{page.name} continues itself"
            seen.append(before)


def test_a_file_that_a_page_gives_is_used_by_it():
    for page in PAGES.values():
        for block in page.blocks:
            if not block.file or not block.runs or block.file == "pyproject.toml":
                continue
            others = "".join(other.text for other in page.blocks if other is not block)
            stem = block.file.rpartition("/")[2].partition(".")[0]
            assert stem in others, f"{block.where}: nothing uses {block.file}"


def test_documents_in_other_languages_can_be_read():
    for block in BLOCKS:
        if block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            pytest.importorskip("tomllib").loads(block.text)
        elif block.language == "python":
            compile(block.text, block.where, "exec")


def test_no_block_reads_from_outside_its_folder():
    for block in BLOCKS:
        assert "../" not in block.text, block.where
        assert "shared/" not in block.text, block.where


def test_every_command_in_a_block_exists_with_its_options():
    for block in BLOCKS:
        for line in block.text.splitlines():
            command = line.removeprefix("$ ").strip()
            if command.startswith("edgekit "):
                # A page may bring a runtime of its own; what is run names targets that there are.
                assert problems(command, targets=not block.runs) == [], block.where


def test_every_command_in_the_prose_exists_with_its_options():
    for page in PAGES.values():
        for line, code in page.inline:
            if code.startswith("edgekit "):
                assert problems(code) == [], f"{page.name}:{line}"


def test_every_option_in_the_prose_is_one_of_edgekits():
    options = known_options() | set(FOREIGN)
    for page in PAGES.values():
        for line, code in page.inline:
            if code.startswith("--"):
                name = code.split()[0].partition("=")[0].rstrip(",…")
                assert name in options, f"{page.name}:{line}: `{code}`"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("edgekit deploi SOURCE", "no command 'deploi'"),
        ("edgekit cache lst", "no command 'lst'"),
        ("edgekit bench MODEL --treads 2", "no option --treads"),
        ("edgekit bench MODEL --compute fp64", "'fp64' is none of"),
        ("edgekit compile model.onnx --target opnvino:cpu", "no runtime 'opnvino'"),
        ("edgekit pack BUNDLE --target=openvino:tpu", "no device 'tpu'"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line, complaint):
    (found,) = problems(line)
    assert complaint in found


@pytest.mark.parametrize(
    "line",
    [
        "edgekit COMMAND --help",
        "edgekit cache prune --older-than 30    what was not used for a month",
        "edgekit deploy … --sign NAME",
        "edgekit bench MODEL --target T [--target T…] [--compute fp32|bf16]",
        "edgekit export net.pth --arch net.py:make --trust-code && echo --done",
    ],
)
def test_a_command_with_placeholders_is_let_through(line):
    assert problems(line) == []

"""Links in the documents lead somewhere, and the code names only documents that exist."""

from __future__ import annotations

import re

import pytest

from edgekit.cli.catalogue import COMMANDS


def test_every_link_between_documents_leads_to_a_file(root):
    documents = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    assert len(documents) > 10
    for document in documents:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


@pytest.mark.parametrize("part", ["edgekit", "export", "runtimes", "benchmarks"])
def test_every_document_that_a_message_names_exists(root, part):
    for module in (root / part).rglob("*.py"):
        for name in re.findall(r"docs/[\w-]+\.md", module.read_text()):
            assert (root / name).is_file(), f"{module}: {name}"


def test_every_document_is_reachable_from_the_readme(root):
    reached: set[str] = set()
    queue = [root / "README.md"]
    while queue:
        document = queue.pop()
        for link in re.findall(r"\]\(([^)#:]+\.md)", document.read_text()):
            target = (document.parent / link).resolve()
            if target.name not in reached:
                reached.add(target.name)
                queue.append(target)
    assert {document.name for document in (root / "docs").glob("*.md")} <= reached


def test_the_readme_has_every_command_in_its_table(root):
    text = (root / "README.md").read_text()
    for name in COMMANDS:
        assert f"| `edgekit {name}" in text


def test_every_make_target_that_the_documents_name_exists(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    for document in [*root.glob("*.md"), *(root / "docs").glob("*.md")]:
        for name in re.findall(r"\bmake ([a-z-]+)\b(?=\s*(?:`|#|$))", document.read_text(), re.M):
            assert name in targets, f"{document.name}: make {name}"


def test_the_licence_is_whole(root):
    text = (root / "LICENSE").read_text()
    assert "Apache License" in text
    assert "9. Accepting Warranty or Additional Liability" in text

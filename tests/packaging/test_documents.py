"""Links in the documents lead somewhere, and the code names only documents that exist."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edgekit.cli.catalogue import COMMANDS

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def documents(root):
    return [*root.glob("*.md"), *(root / "docs").rglob("*.md")]


def prose(document):
    """A document without its blocks of code."""
    return re.sub(r"^(```+).*?^\1", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(document):
    """The names that a code forge gives to a document's headings."""
    names = set()
    for heading in re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        names.add(
            next(one for n in range(100) if (one := f"{name}-{n}" if n else name) not in names)
        )
    return names


def test_every_link_between_documents_leads_to_a_file_and_a_heading(root):
    assert len(documents(root)) > 25
    for document in documents(root):
        for link in LINK.findall(prose(document)):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name}: {link}"
            assert not Path(path).is_absolute(), f"{document.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{document.name}: {link}"


def test_every_link_to_another_site_is_well_formed(root):
    for document in documents(root):
        text = prose(document)
        # As code it is no link: an address on this machine, a kind of source.
        assert "http://" not in re.sub(r"`[^`]*`", "", text), document.name
        for link in re.findall(r"https:[^\s)>`]*", text):
            parts = urlsplit(link)
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), (
                f"{document.name}: {link}"
            )
            assert not link.endswith((".", ",", ";")), f"{document.name}: {link}"


def test_every_page_is_in_the_table_of_contents(root):
    listed = set()
    for index in ("docs/index.md", "docs/api/index.md"):
        for tree in re.findall(r"```{toctree}\n(.*?)```", (root / index).read_text(), re.DOTALL):
            pages = [line for line in tree.split() if not line.startswith(":")]
            listed |= {(root / index).parent / f"{page}.md" for page in pages}
    pages = set((root / "docs").rglob("*.md")) - {root / "docs" / "index.md"}
    assert pages <= listed


def test_every_page_is_linked_from_the_first_one(root):
    linked = set(LINK.findall(prose(root / "docs" / "index.md")))
    pages = {page.relative_to(root / "docs").as_posix() for page in (root / "docs").rglob("*.md")}
    assert pages - linked == {"index.md"}


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
    assert {document.name for document in (root / "docs").rglob("*.md")} <= reached


def test_the_readme_has_every_command_in_its_table(root):
    text = (root / "README.md").read_text()
    for name in COMMANDS:
        assert f"| `edgekit {name}" in text


def test_every_make_target_that_the_documents_name_exists(root):
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    for document in documents(root):
        for name in re.findall(r"\bmake ([a-z-]+)\b(?=\s*(?:`|#|$))", document.read_text(), re.M):
            assert name in targets, f"{document.name}: make {name}"


def test_the_licence_is_whole(root):
    text = (root / "LICENSE").read_text()
    assert "Apache License" in text
    assert "9. Accepting Warranty or Additional Liability" in text

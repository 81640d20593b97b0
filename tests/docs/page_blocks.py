"""The fenced blocks of a Markdown page, as a reader who follows it sees them.

    bash        commands, run in order in the page's folder
    console     a transcript: what follows `$ ` is run, and its output must say what is printed
    python      a file, where the first line is `# NAME.py`; else a program, run as it stands
    yaml, toml  a file, where the first line is `# NAME`; else only parsed
    json        parsed
    text        nothing to run: trees, synopses, excerpts
    {directive} the site generator's

`<!-- not run: REASON -->` directly above a block keeps it from being run. A page that begins with
`<!-- continues: docs/OTHER.md -->` is followed in the folder that the other page leaves behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

__all__ = ["PAGES", "Block", "Page"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
_CONTINUES = re.compile(r"<!-- continues: (\S+) -->")
_FILE = re.compile(r"# ([\w./-]+\.\w+)$")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        page: Path from the root.
        line: Where it stands, from 1.
        language: First word behind the fence; empty for an indented or an unlabelled block.
        text: What is in it.
        not_run: Why it is not run; empty for one that is.
    """

    page: str
    line: int
    language: str
    text: str
    not_run: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """Name of the file that the block is; empty for one that is none."""
        if self.language not in ("python", "yaml", "toml"):
            return ""
        named = _FILE.match(self.text.partition("\n")[0])
        return named[1] if named else ""

    @property
    def runs(self) -> bool:
        """Whether following the page does anything with it."""
        active = self.language in ("bash", "console", "python") or bool(self.file)
        return active and not self.not_run

    @property
    def programs(self) -> set[str]:
        """The programs that its commands start, settings before them left out."""
        if self.language not in ("bash", "console"):
            return set()
        words = [command.split() for command, _ in self.commands()]
        return {next(word for word in line if "=" not in word) for line in words}

    def commands(self) -> list[tuple[str, str]]:
        """Every command of a bash or console block with the output that is printed below it."""
        found: list[tuple[str, str]] = []
        lines = iter(self.text.splitlines())
        for line in lines:
            if self.language == "console":
                if not line.startswith("$ "):
                    if found:
                        found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
                    continue
                line = line.removeprefix("$ ")
            while line.endswith("\\"):
                line = f"{line[:-1]} {next(lines).strip()}"
            if line.strip() and not line.startswith("#"):
                found.append((line.strip(), ""))
        return found


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        name: Path from the root.
        text: All of it.
        blocks: Its blocks, in order.
        inline: Every `piece of code` in its prose with its line.
        comments: Every HTML comment that stands by itself.
        continues: The page whose folder this one begins with; empty for none.
    """

    name: str
    text: str
    blocks: tuple[Block, ...]
    inline: tuple[tuple[int, str], ...]
    comments: tuple[str, ...]
    continues: str


def _page(file: Path) -> Page:
    name = file.relative_to(_ROOT).as_posix()
    text = file.read_text(encoding="utf-8")
    blocks: list[Block] = []
    inline: list[tuple[int, str]] = []
    comments: list[str] = []
    above, above_ends = "", -1
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("fence", "code_block"):
            begins, _ = token.map
            marked = _NOT_RUN.search(above) if above_ends == begins else None
            blocks.append(
                Block(
                    page=name,
                    line=begins + 1,
                    language=token.info.split()[0] if token.info.strip() else "",
                    text=token.content,
                    not_run=marked[1] if marked else "",
                )
            )
        elif token.type == "html_block":
            above, above_ends = token.content, token.map[1]
            comments.append(above)
        elif token.type == "inline":
            inline += [
                (token.map[0] + 1, child.content)
                for child in token.children
                if child.type == "code_inline"
            ]
    continued = _CONTINUES.search("".join(comments))
    return Page(
        name=name,
        text=text,
        blocks=tuple(blocks),
        inline=tuple(inline),
        comments=tuple(comments),
        continues=continued[1] if continued else "",
    )


# README.md, CONTRIBUTING.md and every page of docs/, by path from the root.
PAGES = {
    page.name: page
    for page in map(
        _page,
        (
            _ROOT / "README.md",
            _ROOT / "CONTRIBUTING.md",
            *sorted((_ROOT / "docs").rglob("*.md")),
        ),
    )
}

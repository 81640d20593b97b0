"""Tables and sentences in the columns there are: nothing cut, and no figure broken.

Widths are cells of a terminal and not characters: most of Chinese, Japanese and Korean and the
emoji take two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from edgekit.core.texts import safe

__all__ = ["Grid", "fold", "padded", "wrapped"]

_GAP = 1
# Between the figures of a row that became a paragraph.
_PARAGRAPH_GAP = 3
_INDENT = 4
# Of the figures below a name.
_STEP = 2
# A name is folded before its column gets narrower than this; then a row becomes a paragraph.
_NARROWEST = 16
# A name without a separator is broken anywhere rather than given more than this.
_LONGEST_PIECE = 32
# Where a name may be folded: behind one of these.
_PIECES = re.compile(r"[^\s/\\._:,×@-]*[\s/\\._:,×@-]+|[^\s/\\._:,×@-]+")
_WORDS = re.compile(r"\S+\s*|\s+")


def padded(text: str, width: int) -> str:
    """Fill up with spaces to a width in cells."""
    return text + " " * (width - cell_len(text))


def fold(text: Text, width: int) -> list[Text]:
    """Break a name into lines, behind its separators where that is possible.

    Args:
        text: One line.
        width: Cells.
    """
    if cell_len(text.plain) <= width:
        return [text]
    return _divided(text, _breaks(_PIECES.findall(text.plain), width, hard=True))


def wrapped(text: Text, width: int, indent: int = 0) -> list[Text]:
    """Break prose into lines between its words; a longer word, such as a path, stays whole.

    Args:
        text: One paragraph.
        width: Cells.
        indent: Cells that the lines after the first begin with.
    """
    words = _WORDS.findall(text.plain)
    lines = _divided(text, _breaks(words, width, hard=False, indent=indent))
    return [lines[0], *(Text(" " * indent).append_text(one) for one in lines[1:])]


@dataclass(frozen=True)
class Grid:
    """A table without frames that fits whatever terminal it is printed on.

    Columns get the room they need. Where that is too much, names are folded, the widest column
    first. Where that does not suffice, the name of a row stands above its figures; and on a still
    narrower terminal a row becomes a paragraph, each figure behind its header. Figures are never
    broken.

    Attributes:
        headers: One a column; a line break in a header makes it two lines high.
        rows: The cells.
        left: Columns of words, flush left; the others hold figures and are flush right.
        whole: Columns of words that are not folded, a date for instance.
        titles: Row to a line that stands above it.
        header_style: Of the headers.
    """

    headers: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    left: Sequence[int] = (0,)
    whole: Sequence[int] = ()
    titles: Mapping[int, str] = field(default_factory=dict)
    header_style: str = "bold"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        rows = [[_cell(cell) for cell in row] for row in self.rows]
        for one in self._lines(rows, options.max_width):
            one.rstrip()
            one.no_wrap, one.overflow = True, "ignore"
            yield one

    def _lines(self, rows: Sequence[Sequence[Text]], room: int) -> Iterable[Text]:
        columns = range(len(self.headers))
        widths = self._widths(columns, rows, room)
        if widths is not None:
            return self._table(columns, rows, widths)
        # A column without a header is a mark; it stands before the name.
        name = next(column for column, header in enumerate(self.headers) if header.strip())
        rest = columns[name + 1 :]
        widths = self._widths(rest, rows, room - _STEP)
        if widths is not None:
            return self._table(rest, rows, widths, room=room)
        return self._paragraphs(rest, rows, room)

    def _widths(
        self, columns: Sequence[int], rows: Sequence[Sequence[Text]], room: int
    ) -> list[int] | None:
        """Width of each column; None where they do not fit even with their names folded."""
        widths, least = [], []
        for column in columns:
            head = max(cell_len(part) for part in self.headers[column].split("\n"))
            cells = [row[column].plain for row in rows]
            width = max([head, *map(cell_len, cells)])
            smallest = width
            if column in self.left and column not in self.whole:
                pieces = [cell_len(one.rstrip()) for cell in cells for one in _PIECES.findall(cell)]
                longest = min(max(pieces, default=0), _LONGEST_PIECE)
                smallest = min(width, max(head, _NARROWEST, longest))
            widths.append(width)
            least.append(smallest)
        over = sum(widths) + _GAP * (len(widths) - 1) - room
        while over > 0:
            spare = [one for one in range(len(widths)) if widths[one] > least[one]]
            if not spare:
                return None
            widths[max(spare, key=widths.__getitem__)] -= 1
            over -= 1
        return widths

    def _table(
        self,
        columns: Sequence[int],
        rows: Sequence[Sequence[Text]],
        widths: Sequence[int],
        room: int = 0,
    ) -> Iterable[Text]:
        """Yield header and rows; with `room`, what is left of the columns stands above a row."""
        step = " " * (_STEP if room else 0)
        heads = [self.headers[column].split("\n") for column in columns]
        height = max(map(len, heads))
        if room:
            yield self._name(columns[0])
        for level in range(height):
            parts = [
                Text(head[level - height] if level >= height - len(head) else "", self.header_style)
                for head in heads
            ]
            yield self._line(step, columns, parts, widths)
        for number, row in enumerate(rows):
            yield from self._title(number)
            if room:
                yield from _head(row[: columns[0]], room)
            cells = [
                fold(row[column], width) for column, width in zip(columns, widths, strict=True)
            ]
            for level in range(max(map(len, cells))):
                parts = [cell[level] if level < len(cell) else Text() for cell in cells]
                yield self._line(step, columns, parts, widths)

    def _line(
        self, step: str, columns: Sequence[int], cells: Sequence[Text], widths: Sequence[int]
    ) -> Text:
        line = Text(step)
        for number, (column, cell, width) in enumerate(zip(columns, cells, widths, strict=True)):
            space = Text(" " * (width - cell_len(cell.plain)))
            line.append(" " * _GAP if number else "")
            for part in (cell, space) if column in self.left else (space, cell):
                line.append_text(part)
        return line

    def _paragraphs(
        self, columns: Sequence[int], rows: Sequence[Sequence[Text]], room: int
    ) -> Iterable[Text]:
        """Yield a row as its name, and below it each value behind its header."""
        yield self._name(columns[0])
        names = [
            self.headers[column].replace("-\n", "").replace("\n", " ").strip() for column in columns
        ]
        for number, row in enumerate(rows):
            yield from self._title(number)
            yield from _head(row[: columns[0]], room)
            yield from self._figures(names, row[columns[0] :], room)

    def _name(self, rest: int) -> Text:
        """The header of what stands above a row."""
        names = (header.replace("\n", " ").strip() for header in self.headers[:rest])
        return Text(" ".join(filter(None, names)), self.header_style)

    def _title(self, number: int) -> Iterable[Text]:
        if number in self.titles:
            yield Text(safe(self.titles[number]), "bold")

    def _figures(self, names: Sequence[str], cells: Sequence[Text], room: int) -> Iterable[Text]:
        """Each value behind its header, as many on a line as fit."""
        space = Text(" " * _INDENT)
        line, used = space.copy(), 0
        for name, cell in zip(names, cells, strict=True):
            header = Text(name, self.header_style)
            width = cell_len(name) + 1 + cell_len(cell.plain)
            if used and used + _PARAGRAPH_GAP + width > room - _INDENT:
                yield line
                line, used = space.copy(), 0
            if width > room - _INDENT:
                # Only a name is so long, or the terminal so narrow.
                for part in (header, *fold(cell, max(room - _INDENT, 1))):
                    yield space + part
                continue
            gap = " " * (_PARAGRAPH_GAP if used else 0)
            line.append(gap)
            line.append_text(Text(" ").join([header, cell]))
            used += len(gap) + width
        if used:
            yield line


def _head(cells: Sequence[Text], room: int) -> list[Text]:
    """The mark of a row and its name."""
    return fold(Text(" ").join(cell for cell in cells if cell.plain), room)


def _cell(cell: str | Text) -> Text:
    if isinstance(cell, str):
        return Text(safe(cell))
    plain = safe(cell.plain)
    return cell.copy() if plain == cell.plain else Text(plain, cell.style)


def _breaks(pieces: Sequence[str], width: int, *, hard: bool, indent: int = 0) -> list[int]:
    """Offsets at which a text is broken.

    Args:
        pieces: What is not to be broken; together the text.
        width: Cells of a line.
        hard: Break a piece that is wider than a line; otherwise it gets a line of its own.
        indent: Cells that every line but the first gives away.
    """
    found: list[int] = []
    used = start = 0
    for piece in pieces:
        room = width - (indent if found else 0)
        if used and used + cell_len(piece.rstrip()) > room:
            found.append(start)
            used = 0
            room = width - indent
        if hard and cell_len(piece.rstrip()) > room:
            for offset, sign in enumerate(piece):
                # What takes no room belongs to the sign before it.
                if used and cell_len(sign) and used + cell_len(sign) > room:
                    found.append(start + offset)
                    used = 0
                used += cell_len(sign)
        else:
            used += cell_len(piece)
        start += len(piece)
    return found


def _divided(text: Text, breaks: Sequence[int]) -> list[Text]:
    lines = list(text.divide(breaks)) if breaks else [text.copy()]
    for one in lines:
        one.rstrip()
    return lines

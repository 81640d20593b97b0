"""Matplotlib drawings as SVG that belongs to a page: its colours, its letters, its width.

A drawing made into the page as SVG needs no script, stays sharp in print, and takes the page's
colours: it is drawn in stand-in colours, which become CSS variables, so that light, dark and print
are a matter of the style sheet alone.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgekit.core.requires import requires

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GRID", "INK", "MARKERS", "MUTED", "PAPER", "SERIES", "load_matplotlib", "to_svg"]

# Stand-in colour to the CSS variable that it becomes.
_VARIABLES = {
    "#010101": "ink",
    "#010102": "muted",
    "#010103": "grid",
    "#010104": "paper",
    **{f"#0102{number:02x}": f"series-{number}" for number in range(1, 7)},
}
INK, MUTED, GRID, PAPER, *SERIES = _VARIABLES
# Shapes that can be told apart without colour.
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")

_DIGITS = re.compile(r"(\d\.\d\d)\d+")

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edgekit",
    "font.size": 12,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 1,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def load_matplotlib() -> None:
    """Import it, or say how to get it.

    Raises:
        MissingLibrary: It is not installed.
    """
    with requires("matplotlib", extra="report", why="to draw the charts of a report"):
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401


def to_svg(draw: Callable[[Axes], None], *, width: int, height: int, name: str, title: str) -> str:
    """Draw one pair of axes and return it as an SVG element.

    Args:
        draw: Draws onto the axes, in the stand-in colours of this module.
        width: Pixels; the letters are 12 pixels high at this width.
        height: Pixels.
        name: Unique on the page; ids begin with it.
        title: What a screen reader says; figures belong into a table beside.
    """
    load_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # A matplotlibrc of the current folder changes nothing, and runs no LaTeX.
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # The browser draws the letters, so what matplotlib's own font lacks does not matter, nor
        # does what its layout says of a drawing that is tight.
        warnings.simplefilter("ignore", UserWarning)
        picture = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
        FigureCanvasSVG(picture)
        draw(picture.add_subplot())
        picture.savefig(written, format="svg", metadata={"Date": None})
    return _adopted(written.getvalue(), name, title)


def _adopted(text: str, name: str, title: str) -> str:
    """Make a file's content an element of a page."""
    text = text[text.index("<svg") :]
    # Its style sheet would be the whole page's.
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    # A hundredth of a pixel is enough; what is written on the axes stays as it is.
    text = re.sub(r'"[^"]*"', lambda value: _DIGITS.sub(r"\1", value.group()), text)
    text = re.sub(r"\bfont-family: [^;\"]*; ?", "", text)
    # Several drawings on one page must not share ids.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('xlink:href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    text = re.sub(r"font: ([^;\"']*?)(\d+(?:\.\d+)?px)[^;\"]*", r"font-size: \2", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None, "matplotlib writes one"
    head = f'<svg class="chart" {box.group()} role="img" aria-label="{_attribute(title)}">'
    return head + text[text.index(">") + 1 :].strip()


def _attribute(text: str) -> str:
    for letter, name in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(letter, name)
    return text

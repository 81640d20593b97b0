"""On a real terminal: colours that say something, none where they are not wanted, no bars left."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import sys
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")

ROOT = Path(__file__).parents[2]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
GREEN, RED, YELLOW = "\x1b[32m", "\x1b[31m", "\x1b[33m"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


def on_terminal(*arguments, columns=80, seconds=500.0, stdout=None, **settings):
    """Run edgekit on a terminal; return its status and everything that the terminal got."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "COLORTERM")
    }
    environment |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **settings}
    process, master = pty.fork()
    if process == 0:
        if stdout is not None:
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT), 1)
        os.execve(sys.executable, [sys.executable, "-m", "edgekit", *arguments], environment)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    read, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([master], [], [], 0.2)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            read += part
    os.close(master)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), read.decode()


def left_on_screen(text):
    """The lines that stay, as a terminal would show them: what was erased is gone."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if token == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif token == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", token):
            row = max(row - int(token[2:-1] or 1), 0)
        elif not token.startswith(("\x1b", "\r")):
            lines[row] += token
    return lines


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """Two deployments of the built-in model on a terminal: the second from the cache."""
    for library in ("torch", "onnxruntime"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("terminal")
    settings = {"EDGEKIT_CACHE": str(folder / "cache")}
    arguments = (
        "deploy", "edgekit:digits", "--target", "onnxruntime:cpu", "--precision", "fp32",
        "--time", "0.3", "-o", str(folder / "d.bundle"), "--force",
    )  # fmt: skip
    first = on_terminal(*arguments, **settings)
    return folder, arguments, settings, first


@pytest.mark.timeout(900)
def test_a_deployment_shows_where_it_stands_and_leaves_nothing_of_it(deployed):
    _, _, _, (status, text) = deployed
    assert status == 0, text
    assert "1 of 5  export of digits" in text
    assert "5 of 5  measurement of digits" in text
    screen = "\n".join(left_on_screen(text))
    assert " of 5 " not in screen
    assert "━" not in screen
    assert "next  edgekit verify" in screen
    # Without labelled data the verdict is UNVERIFIED, which is never green.
    assert YELLOW + "UNVERIFIED" in text
    assert GREEN not in text
    # The cursor is shown again.
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


@pytest.mark.timeout(900)
def test_no_color_takes_the_colours_and_leaves_every_word(deployed):
    _, arguments, settings, _ = deployed
    coloured = on_terminal(*arguments, **settings)[1]
    plain = on_terminal(*arguments, **settings, NO_COLOR="1")[1]
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    words = [ANSI.sub("", "\n".join(left_on_screen(text))).split() for text in (coloured, plain)]
    assert words[0] == words[1]
    # An empty value is no value (no-color.org).
    assert COLOUR.search(on_terminal(*arguments, **settings, NO_COLOR="")[1])


@pytest.mark.timeout(900)
def test_a_dumb_terminal_gets_plain_lines(deployed):
    _, arguments, settings, _ = deployed
    status, text = on_terminal(*arguments, **settings, TERM="dumb")
    assert status == 0
    assert "\x1b" not in text
    assert "edgekit: 1 of 5: export of digits: from the cache" in text


@pytest.mark.timeout(900)
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_deployment_fits_the_terminal(deployed, columns):
    folder, arguments, settings, _ = deployed
    text = on_terminal(*arguments, columns=columns, **settings)[1]
    for line in left_on_screen(text):
        assert cell_len(line) <= columns or str(folder) in line, line


@pytest.mark.timeout(900)
def test_a_result_that_goes_into_a_file_is_plain_while_progress_stays_on_the_terminal(deployed):
    folder, arguments, settings, _ = deployed
    status, text = on_terminal(*arguments, stdout=folder / "out.txt", **settings)
    assert status == 0
    written = (folder / "out.txt").read_text()
    assert "\x1b" not in written
    assert "UNVERIFIED" in written
    assert "next" not in written
    assert "of 5  measurement" in text


def test_the_doctor_is_green_and_yellow_and_says_so_in_words():
    status, text = on_terminal("doctor")
    assert status == 0
    assert f"{GREEN}ok" in text or f"{YELLOW}no" in text
    for line in left_on_screen(text):
        assert cell_len(line) <= 80 or "fix: " in line or "next" in line or line.startswith("  ")


def test_force_color_colours_what_goes_into_a_file(tmp_path):
    for settings, coloured in (({}, False), ({"FORCE_COLOR": "1"}, True)):
        on_terminal("doctor", stdout=tmp_path / "out.txt", **settings)
        assert bool(COLOUR.search((tmp_path / "out.txt").read_text())) == coloured
        (tmp_path / "out.txt").unlink()


def test_an_error_is_one_plain_sentence():
    status, text = on_terminal("inspect", "nowhere.onnx")
    assert status == 2
    assert text.startswith("edgekit: ")
    assert "\x1b" not in text.replace("\x1b[?25h", "")


def test_quiet_says_nothing_but_the_result():
    status, text = on_terminal("doctor", "--deep", "--quiet")
    assert status in (0, 3)
    assert "opening" not in text
    assert "next" not in text

"""What all tests share: where the real data is, which tests this machine cannot run, threads."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from threading import Thread

import pytest

# Before any library reads them: tests run beside each other on two cores.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "2")

ROOT = Path(__file__).resolve().parent.parent

# What .ci/system installs, where it can: what it is called, and arguments with which it ends with 0
# where it can do what the tests ask of it. An ffmpeg may be built without an encoder of H.264.
_RTSP_SERVER = """\
import gi
gi.require_version("GstRtspServer", "1.0")
gi.require_version("Gst", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
raise SystemExit(not all(map(Gst.ElementFactory.find, ("appsrc", "x264enc", "rtph264pay"))))
"""
_H264 = "-v error -f lavfi -i testsrc2=s=64x48:d=0.1 -c:v libx264 -f null -"
INSTALLED: dict[str, tuple[str, tuple[str, ...]]] = {
    "ffmpeg": ("ffmpeg with an encoder of H.264", tuple(_H264.split())),
    "chromium": ("chromium", ()),
    "chromedriver": ("chromedriver", ()),
    "Xvfb": ("Xvfb", ()),
    "xdotool": ("xdotool", ()),
    "/usr/bin/python3": ("RTSP server of GStreamer", ("-c", _RTSP_SERVER)),
}


def _nothing_bare(event: str, arguments: tuple) -> None:
    """A test asks `tool` for a program: by its bare name alone it fails where there is none."""
    if event != "subprocess.Popen" or os.sep in (program := os.fsdecode(arguments[0])):
        return
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename == subprocess.__file__:
        frame = frame.f_back
    by = Path(frame.f_code.co_filename)
    assert ROOT / "tests" not in by.parents, f"{by} starts {program!r} without asking `tool` for it"


sys.addaudithook(_nothing_bare)


def _realdata_folder() -> Path:
    return Path(os.environ.get("EDGEKIT_REALDATA", ROOT.parent / "shared" / "data"))


def _reason_without_gpu() -> str:
    """Why no NVIDIA GPU can be used here; empty where one can."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1) on this machine"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return "the NVIDIA driver does not start"
    return "" if count.value else "the NVIDIA driver sees no GPU"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = _realdata_folder()
    reasons = {}
    if not (folder / "manifest.json").is_file():
        reasons["realdata"] = f"no real data in {folder}; set EDGEKIT_REALDATA"
    if any(item.get_closest_marker("gpu") for item in items) and (gpu := _reason_without_gpu()):
        reasons["gpu"] = gpu
    for item in items:
        for marker, reason in reasons.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """A cache of the tests' own; what one test makes another finds, as a user would."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def results(tmp_path_factory) -> Iterator[Path]:
    """A store of results of the tests' own."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_RESULTS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real models and labelled images."""
    folder = _realdata_folder()
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no real data in {folder}; set EDGEKIT_REALDATA")
    return folder


def _why_not(name: str, path: str | None) -> str:
    """Why a program cannot be used here; empty where it can."""
    called, able = INSTALLED.get(name, (name, ()))
    if path is not None:
        # Nothing of the virtual environment may reach the system's Python.
        outside = {"PATH": os.defpath, "HOME": "/tmp"}
        if (
            not able
            or not subprocess.run([path, *able], capture_output=True, env=outside).returncode
        ):
            return ""
    return f"no {called} on this machine" + "; .ci/system installs it" * (name in INSTALLED)


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """A function of a program's names: its path; where there is none of them, the test is skipped.

    It is the one way to a program that does not come with Python.
    """
    known: dict[str, tuple[str | None, str]] = {}

    def find(name: str, *others: str) -> str:
        if name not in known:
            path = next(filter(None, map(shutil.which, (name, *others))), None)
            known[name] = path, _why_not(name, path)
        path, reason = known[name]
        if path is None or reason:
            pytest.skip(reason)
        return path

    return find


# What a busy machine may take for something that takes a moment.
PATIENCE_S = 120


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """A function of a condition and its name: waits until it holds; fails with what was waited for.

    No test judges how long something took: that is the machine's, and others work on it.
    """

    def until(condition: Callable[[], object], what: object = "it") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
            time.sleep(0.01)

    return until


@pytest.fixture
def mounted(tool) -> Iterator[Callable[..., Path]]:
    """A function of a folder and of mount's arguments: mounts there; at the end it is undone."""
    mount, umount = tool("mount"), tool("umount")
    places: list[Path] = []

    def mounts(place: Path, *arguments: str) -> Path:
        place.mkdir(exist_ok=True)
        ended = subprocess.run([mount, *arguments, place], capture_output=True, text=True)
        if ended.returncode:
            pytest.skip(f"nothing can be mounted here: {ended.stderr.strip()}")
        places.append(place)
        return place

    yield mounts
    for place in reversed(places):
        subprocess.run([umount, place], check=True)


@pytest.fixture
def small_disk(mounted, tmp_path) -> Callable[[str], Path]:
    """A function of a size, as "64k": an empty disk of that size in the test's folder."""
    return lambda size: mounted(
        tmp_path / "disk", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs"
    )


@pytest.fixture
def tcp_server():
    """A server that sends some bytes to who connects, and then nothing; gives its port."""
    servers = []

    def serve(answer=b"", *, close=False):
        listening = socket.create_server(("127.0.0.1", 0))
        kept = []

        def run():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    kept.append(client)
                    client.settimeout(10)
                    if answer:
                        client.recv(65536)
                        client.sendall(answer)
                    if close:
                        client.shutdown(socket.SHUT_RDWR)
                        client.close()

        Thread(target=run, daemon=True).start()
        servers.append((listening, kept))
        return listening.getsockname()[1]

    yield serve
    for listening, kept in servers:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for client in kept:
            client.close()


@pytest.fixture(scope="session")
def shapes_onnx(tmp_path_factory) -> Path:
    """The built-in detector as an ONNX file with its card inside."""
    # Imported here: the tests of a bare installation have no torch.
    from edgekit import api

    path = tmp_path_factory.mktemp("onnx") / "shapes.onnx"
    api.export("edgekit:shapes", path)
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


class Browser:
    """A headless Chromium of its own profile, that looks at files.

    Attributes:
        driver: Selenium's.
    """

    FLAGS = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    )

    def __init__(self, chromium, chromedriver, profile):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*self.FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        # A busy machine is no failure.
        self.driver.set_script_timeout(300)

    def open(self, path, *, width=1280, dark=False):
        """Open a file at a width, in light or dark; forget what was logged before."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())

    def cdp(self, command, **arguments):
        return self.driver.execute_cdp_cmd(command, arguments)

    def run(self, script, *arguments):
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self):
        """What the page wrote onto the console: script errors, refused styles, all of it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def violations(self):
        """What axe finds (WCAG 2.1 A and AA), every part of the page unfolded."""
        pytest.importorskip("axe_core_python")
        self.run("for (const one of document.querySelectorAll('details')) one.open = true")
        self.run((resources.files("axe_core_python") / "axe.min.js").read_text())
        return self.driver.execute_async_script(
            """
            const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ["violations"]}).then(found => done(found.violations
                .map(one => [one.id, one.impact, one.nodes.map(node => node.html)])));
            """
        )

    def requests(self):
        """Addresses that were asked for since the page was opened, data: ones left out."""
        messages = [
            json.loads(one["message"])["message"] for one in self.driver.get_log("performance")
        ]
        sent = [one for one in messages if one["method"] == "Network.requestWillBeSent"]
        addresses = [one["params"]["request"]["url"] for one in sent]
        return [one for one in addresses if not one.startswith("data:")]

    def press(self, key):
        """Press a key by its DOM name: "Tab", "Enter"."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        what = {"key": key, "windowsVirtualKeyCode": codes[key]}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.cdp(
            "Input.dispatchKeyEvent", type="keyDown", **what, **({"text": text} if text else {})
        )
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **what)


@pytest.fixture(scope="module")
def browser(tool, tmp_path_factory):
    """A Chromium for the tests of one module; skips where there is none."""
    programs = tool("chromium", "chromium-browser"), tool("chromedriver")
    pytest.importorskip("selenium")
    opened = Browser(*programs, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()

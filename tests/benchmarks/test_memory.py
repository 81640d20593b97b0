import pathlib
import platform

import numpy as np
import pytest

from edgekit.benchmarks import memory

linux = pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")


def test_resident_memory_grows_with_what_is_touched():
    before = memory.rss_bytes()
    kept = np.ones(8 << 20)
    assert memory.rss_bytes() - before > 0.9 * kept.nbytes


@linux
def test_the_peak_stays_when_memory_is_freed_and_can_start_again():
    if not memory.reset_peak():
        pytest.skip("/proc is read-only here")
    start = memory.rss_peak_bytes()
    kept = np.ones(16 << 20)
    size = kept.nbytes
    del kept
    peak = memory.rss_peak_bytes()
    assert peak - start > 0.9 * size
    assert memory.reset_peak()
    assert memory.rss_peak_bytes() < peak - 0.5 * size


@linux
def test_a_peak_that_cannot_be_read_or_reset_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path)
    assert memory.rss_peak_bytes() is None
    assert memory.reset_peak() is False


def test_other_systems_ask_getrusage(monkeypatch):
    monkeypatch.setattr(memory.platform, "system", lambda: "FreeBSD")
    assert memory.rss_peak_bytes() > 1 << 20
    assert memory.reset_peak() is False
    assert isinstance(memory._STATUS, pathlib.Path)

"""A recording is played by others, whatever became of who wrote it."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest

from edgekit.core.destination import Destination
from edgekit.core.errors import BadInput, MissingLibrary, Unavailable, Unwritable
from edgekit.demo import recording
from edgekit.demo.recording import Recording

av = pytest.importorskip("av", reason="PyAV (the extra demo) is not installed")

NONE = recording._Encoder("nonesuch", {})


def played(path):
    """Seconds and pictures of every frame."""
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def record(recording, views):
    for view in views:
        recording.show(view)
    recording.close()


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_frames_are_played_at_the_times_of_their_capture(tmp_path, meter, view_of, plain, ending):
    path = tmp_path / "new" / f"walk{ending}"
    seconds = [7.0, 7.04, 7.2, 9.5, 9.52]
    made = Recording(path, meter, every=True)
    assert made.path is None
    record(made, [view_of(plain(40 * i), i, at) for i, at in enumerate(seconds, 1)])
    assert made.path == path
    frames = played(path)
    assert [at for at, _ in frames] == pytest.approx([0, 0.04, 0.2, 2.5, 2.52], abs=0.001)
    levels = [picture.mean() for _, picture in frames]
    assert levels == pytest.approx([40, 80, 120, 160, 200], abs=3)
    assert [name for name, _ in meter.stages] == ["save"] * 5
    assert meter.notes == []


def test_opencv_and_ffmpeg_read_it_with_its_colours(tool, tmp_path, meter, view_of, plain):
    path = tmp_path / "red.mp4"
    red = plain(0)
    red[..., 2] = 220
    record(Recording(path, meter, every=True), [view_of(red, i, i / 25) for i in range(25)])
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 25
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25, abs=0.1)
    _, picture = video.read()
    assert np.abs(picture.astype(int) - (0, 0, 220)).max() < 12
    raw = ("-f", "rawvideo", "-pix_fmt", "bgr24", "-")
    command = [tool("ffmpeg"), "-v", "error", "-i", path, *raw]
    done = subprocess.run(command, capture_output=True, check=True)
    pictures = np.frombuffer(done.stdout, np.uint8).reshape(-1, 240, 320, 3)
    assert done.stderr == b""
    assert len(pictures) == 25
    assert np.abs(pictures.astype(int) - (0, 0, 220)).max() < 12


def test_a_frame_of_another_size_is_fitted_into_the_first(tmp_path, meter, view_of, plain):
    path = tmp_path / "sizes.mp4"
    sizes = [(241, 321), (100, 300), (480, 320), (1, 1)]
    views = [view_of(plain(200, size), i, i / 10) for i, size in enumerate(sizes)]
    record(Recording(path, meter, every=True), views)
    first, flat, tall, _ = [picture for _, picture in played(path)]
    assert first.shape == (240, 320, 3)
    assert first.min() > 190
    assert flat[:60].max() < 30
    assert flat[80:160].min() > 150
    assert flat[180:].max() < 30
    assert tall[:, :70].max() < 30
    assert tall[:, 90:230].min() > 150


def test_times_of_a_file_are_kept_however_fast_it_is_read(tmp_path, meter, view_of, plain):
    path = tmp_path / "file.mp4"
    # Read as fast as can be, and twice.
    views = [view_of(plain(90), i, i / 1000, position=(i % 3) * 0.5) for i in range(6)]
    record(Recording(path, meter, every=True), views)
    times = [at for at, _ in played(path)]
    assert times == pytest.approx([0, 0.5, 1, 1.033, 1.533, 2.033], abs=0.002)


def test_a_live_demo_is_not_kept_waiting_and_what_is_missing_is_said(
    tmp_path, meter, view_of, plain
):
    path = tmp_path / "live.mp4"
    made = Recording(path, meter)
    go = Event()
    write = made._work._work
    made._work._work = lambda view: (go.wait(10), write(view))
    for i in range(30):
        made.show(view_of(plain(90), i, i / 30))
    assert made.dropped >= 20
    go.set()
    made.close()
    assert len(played(path)) == 30 - made.dropped
    assert meter.notes == [
        f"{path} lacks {made.dropped} frames that came while the encoder was busy."
    ]


def test_after_a_kill_all_but_the_last_second_is_played(tmp_path):
    path = tmp_path / "killed.mp4"
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from edgekit.demo.output import AnsweredFrame
        from edgekit.demo.recording import Recording
        from edgekit.pipeline.answer import Answer
        from edgekit.pipeline.frame import Frame

        class Silent:
            def stage(self, name, nanoseconds): done.append(1)
            def note(self, sentence): print(sentence)

        done = []
        made = Recording(Path(sys.argv[1]), Silent(), every=True)
        for i in range(300):
            pixels = np.full((240, 320, 3), i % 200, np.uint8)
            frame = Frame(pixels, i, round(i * 1e9 / 30))
            made.show(AnsweredFrame(Answer(frame, None), None, pixels))
        while len(done) < 300:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", program, path])
    assert done.returncode == -9
    times = [at for at, _ in played(path)]
    assert times[-1] > 9.0
    video = cv2.VideoCapture(str(path))
    count = 0
    while video.read()[0]:
        count += 1
    assert count == len(times) > 270


def test_a_full_disk_ends_the_recording_and_nothing_else(small_disk, meter, view_of):
    path = small_disk("1m") / "full.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    made = Recording(path, meter, every=True)
    for i in range(200):
        made.show(view_of(np.roll(noise, i, 0), i, i / 30))
    assert not made.wants_picture
    made.close()
    assert len(meter.notes) == 1
    assert f"{path} ended early: no space left on device." in meter.notes[0]
    assert len(played(path)) > 10


def test_a_disk_that_is_full_from_the_beginning_is_one_sentence(
    tmp_path, meter, view_of, plain, monkeypatch
):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this machine")
    monkeypatch.setattr(Destination, "create", lambda _place: io.FileIO(full, "wb"))
    made = Recording(tmp_path / "a.mp4", meter)
    record(made, [view_of(plain(90), i, i / 30) for i in range(40)])
    assert len(meter.notes) == 1
    assert "no space left on device" in meter.notes[0]


def test_without_h264_it_falls_back_and_says_so(tmp_path, meter, view_of, plain, monkeypatch):
    monkeypatch.setattr(recording, "_ENCODERS", (NONE, recording._ENCODERS[-1]))
    path = tmp_path / "old.mp4"
    record(Recording(path, meter, every=True), [view_of(plain(90), i, i / 30) for i in range(9)])
    assert len(played(path)) == 9
    assert "MPEG-4 Part 2" in meter.notes[0]
    monkeypatch.setattr(recording, "_ENCODERS", (NONE,))
    with pytest.raises(Unavailable, match="none of the encoders nonesuch"):
        Recording(tmp_path / "none.mp4", meter)


def test_an_old_ffmpeg_without_hybrid_files_still_records(
    tmp_path, meter, view_of, plain, monkeypatch
):
    name, (first, second) = recording._FORMATS[".mp4"]
    unknown = {**first, "movflags": "nonesuch"}
    monkeypatch.setitem(recording._FORMATS, ".mp4", (name, (unknown, second)))
    path = tmp_path / "old.mp4"
    record(Recording(path, meter, every=True), [view_of(plain(90), i, i / 30) for i in range(9)])
    assert len(played(path)) == 9


def test_what_cannot_be_written_is_said_before_anything_starts(tmp_path, meter):
    with pytest.raises(BadInput, match=r"ends in \.avi, .*\.mp4 or \.mkv"):
        Recording(tmp_path / "a.avi", meter)
    with pytest.raises(BadInput, match="ends in no suffix"):
        Recording(tmp_path / "a", meter)
    (tmp_path / "old.mp4").write_bytes(b"old")
    with pytest.raises(BadInput, match="exists already"):
        Recording(tmp_path / "old.mp4", meter)
    Recording(tmp_path / "old.mp4", meter, force=True).close()
    assert (tmp_path / "old.mp4").read_bytes() == b"old"
    with pytest.raises(Unwritable, match="not a directory"):
        Recording(tmp_path / "old.mp4" / "new.mp4", meter)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        Recording(tmp_path / "folder.mp4", meter, force=True)


def test_without_pyav_the_command_to_install_it_is_named(tmp_path, meter, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingLibrary, match=r"edgekit\[demo\]"):
        Recording(tmp_path / "a.mp4", meter)


def test_a_demo_that_never_had_a_frame_leaves_no_file(tmp_path, meter):
    made = Recording(tmp_path / "a.mp4", meter)
    made.close()
    made.close()
    assert made.path is None
    assert list(tmp_path.iterdir()) == []


def test_ticks_are_whole_at_usual_rates():
    assert all(Fraction(recording._TICKS, rate).denominator == 1 for rate in (24, 25, 30, 50, 60))

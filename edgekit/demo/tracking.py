"""Numbers that follow objects from frame to frame, by ByteTrack of the library `trackers`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.core.requires import requires
from edgekit.pipeline.answer import Answer
from edgekit.tasks.predictions import BoxPrediction

__all__ = ["Tracker"]

# An object that was not seen for so long is a new one afterwards, however many frames that were.
_REMEMBERED_S = 1.0
# What ByteTrack counts in: its motion model takes the time between two frames in these.
_RATE = 30.0
# From this score on a detection begins a track; a weaker one only goes on with one. The user's own
# threshold comes before, so what reaches the tracker is what is shown.
_BEGINS = 0.4
# A hiccup of the clock or a file that starts again, seconds: what was followed is not there now.
_CUT_S = 5.0


class Tracker:
    """Follows the objects of one source.

    An object gets its number when it is found in a second frame. Dropped frames and pauses are
    taken into account by the frames' own times; after a cut (a file starts again, a long pause, a
    picture of another size) nothing is taken for what was there before, and no number comes twice.

    Raises:
        MissingLibrary: `trackers` is not installed.
    """

    def __init__(self) -> None:
        with requires("trackers", extra="track", why="to follow objects"):
            from supervision import Detections
            from trackers import ByteTrackTracker
        self._found: Any = Detections
        self._make: Any = ByteTrackTracker
        self._inner: Any = None
        self._size: tuple[int, int] | None = None
        self._last_s = -math.inf
        # ByteTrack counts from 0 again after a cut.
        self._given = self._before = 0

    def follow(self, prediction: BoxPrediction, answer: Answer) -> BoxPrediction:
        """Return the prediction with the numbers of its objects, from 1.

        Args:
            prediction: Of a frame that is later than the one before.
            answer: What it was made of, for the frame's time.
        """
        frame = answer.frame
        now = frame.captured_ns / 1e9 if frame.position_s is None else frame.position_s
        if prediction.size != self._size or not 0 < now - self._last_s < _CUT_S:
            self._cut()
        self._size, self._last_s = prediction.size, now
        found = prediction.detections
        boxes = np.array([one.box for one in found], np.float64).reshape(-1, 4)
        tracked = self._inner.update(
            self._found(
                # A box without bounds would make the motion model's numbers overflow.
                xyxy=boxes.clip(-1e6, 1e6),
                confidence=np.array([one.score for one in found], np.float32),
                data={"row": np.arange(len(found))},
            ),
            timestamp=now,
        )
        tracks: list[int | None] = [None] * len(found)
        rows = tracked.data.get("row", ())
        for row, number in zip(rows, tracked.tracker_id, strict=True):
            if number >= 0:
                tracks[row] = self._before + int(number) + 1
                self._given = max(self._given, self._before + int(number) + 1)
        return replace(
            prediction,
            detections=tuple(
                replace(one, track=track) for one, track in zip(found, tracks, strict=True)
            ),
        )

    def _cut(self) -> None:
        self._before = self._given
        self._inner = self._make(
            lost_track_buffer=round(_REMEMBERED_S * _RATE),
            frame_rate=_RATE,
            track_activation_threshold=_BEGINS,
            high_conf_det_threshold=_BEGINS,
        )

"""What a session does on its GPU, on a GPU that is none: buffers, streams, captures, state."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from trt_fakes import FakeCuda, FakeEngine, fake_session

from edgekit.core.errors import BadInput, Unavailable
from edgekit.runtimes.trt_session import TensorRtSession


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(profiles=2)


@pytest.fixture
def session(cuda: FakeCuda, engine: FakeEngine) -> TensorRtSession:
    return fake_session(engine, cuda)


def rows(batch: int, first: float = 0.0) -> Any:
    return np.arange(batch * 4, dtype=np.float32).reshape(batch, 4) + np.float32(first)


# Running


def test_run_gives_the_engines_values_in_arrays_of_the_callers_own(
    session: TensorRtSession,
) -> None:
    first = session.run({"x": rows(2)})["y"]
    np.testing.assert_array_equal(first, 2 * rows(2) + 1)
    kept = first.copy()
    session.run({"x": rows(2, 5)})
    np.testing.assert_array_equal(first, kept)


def test_runs_of_one_shape_share_their_buffers(session: TensorRtSession, cuda: FakeCuda) -> None:
    for first in range(4):
        np.testing.assert_array_equal(
            session.run({"x": rows(2, first)})["y"], 2 * rows(2, first) + 1
        )
    assert cuda.calls["allocate"] == cuda.calls["pinned"] == 2
    # One shape may well come once only, so nothing is captured for it.
    assert cuda.calls["captured"] == 0


def test_another_shape_takes_the_place_of_the_last_one(
    session: TensorRtSession, cuda: FakeCuda, engine: FakeEngine
) -> None:
    for batch in (2, 3, 2, 12):
        np.testing.assert_array_equal(session.run({"x": rows(batch)})["y"], 2 * rows(batch) + 1)
        assert len(cuda.alive) == 2
    assert cuda.calls["allocate"] == 8
    assert engine.runs == [0, 0, 0, 1]


def test_strided_and_frozen_arrays_are_taken(session: TensorRtSession) -> None:
    strided = rows(4).T
    frozen = rows(2)
    frozen.flags.writeable = False
    for x in (strided, frozen, np.asfortranarray(rows(3))):
        for _ in range(2):
            np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x + 1)


def test_a_shape_that_no_profile_covers_is_refused_before_anything_is_done(
    session: TensorRtSession, cuda: FakeCuda, engine: FakeEngine
) -> None:
    for call in (session.run, session.bind):
        with pytest.raises(BadInput, match="'x' has the shape 17x4, .* 1x4 to 4x4 or 5x4 to 16x4"):
            call({"x": rows(17)})
    assert not engine.runs
    assert not cuda.alive
    assert not cuda.handles
    assert cuda.calls["allocate"] == cuda.calls["pinned"] == 0
    # And what came before still runs.
    session.run({"x": rows(2)})
    with pytest.raises(BadInput):
        session.run({"x": rows(17)})
    np.testing.assert_array_equal(session.run({"x": rows(2)})["y"], 2 * rows(2) + 1)


def test_an_input_that_the_engine_lost_is_taken_and_left_alone(cuda: FakeCuda) -> None:
    with fake_session(FakeEngine(), cuda, unread=True) as session:
        feeds = {"x": rows(2), "unread": np.ones((2, 2), np.int64)}
        for _ in range(2):
            np.testing.assert_array_equal(session.run(feeds)["y"], 2 * rows(2) + 1)


# Failing


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("fails", "does not run the engine: the engine is ill"),
        ("refuses_shapes", "refuses the shape"),
        ("unknown_output", "output 'y' depends on the values of the inputs"),
        ("no_context", "makes no execution context"),
    ],
)
def test_what_fails_is_one_sentence_and_leaves_nothing_behind(
    session: TensorRtSession, cuda: FakeCuda, engine: FakeEngine, fault: str, message: str
) -> None:
    setattr(engine, fault, True)
    for call in (session.run, session.bind):
        with pytest.raises(BadInput, match=message):
            call({"x": rows(2)})
        assert not cuda.alive
        assert not cuda.handles
    setattr(engine, fault, False)
    assert session.run({"x": rows(2)})


def test_a_profile_that_the_engine_has_not_is_refused(cuda: FakeCuda) -> None:
    engine = FakeEngine(profiles=2)
    session = fake_session(engine, cuda)
    engine.profiles = 1
    with pytest.raises(BadInput, match="refuses the optimization profile 1"):
        session.bind({"x": rows(8)})
    assert not cuda.handles


# Binding


def test_a_binding_copies_its_feeds_and_sees_what_is_written_later(
    session: TensorRtSession,
) -> None:
    x = rows(2)
    binding = session.bind({"x": x})
    x[...] = 99
    np.testing.assert_array_equal(binding.outputs["y"], 2 * rows(2) + 1)
    for first in range(3):
        binding.inputs["x"][...] = rows(2, first)
        binding.run()
        np.testing.assert_array_equal(binding.outputs["y"], 2 * rows(2, first) + 1)


def test_a_binding_is_captured_once_and_then_only_launched(
    session: TensorRtSession, cuda: FakeCuda, engine: FakeEngine
) -> None:
    binding = session.bind({"x": rows(2)})
    enqueued = len(engine.runs)
    for _ in range(5):
        binding.run()
    assert cuda.calls["captured"] == 1
    assert cuda.calls["launch"] == 5
    assert len(engine.runs) == enqueued == 2
    assert binding.why_not_captured == ""


def test_a_capture_that_fails_is_told_and_the_work_is_enqueued(
    session: TensorRtSession, cuda: FakeCuda
) -> None:
    cuda.refuses = "GPU 0: cudaStreamEndCapture says operation not permitted."
    binding = session.bind({"x": rows(2)})
    assert binding.why_not_captured == cuda.refuses
    for first in range(3):
        binding.inputs["x"][...] = rows(2, first)
        binding.run()
        np.testing.assert_array_equal(binding.outputs["y"], 2 * rows(2, first) + 1)
    assert cuda.calls["launch"] == 0


def test_bindings_of_two_profiles_live_beside_each_other(
    session: TensorRtSession, engine: FakeEngine
) -> None:
    one, two = session.bind({"x": rows(3)}), session.bind({"x": rows(7)})
    assert set(engine.runs) == {0, 1}
    for first in range(3):
        for binding, batch in ((one, 3), (two, 7)):
            binding.inputs["x"][...] = rows(batch, first)
        one.run()
        two.run()
        for binding, batch in ((one, 3), (two, 7)):
            np.testing.assert_array_equal(binding.outputs["y"], 2 * rows(batch, first) + 1)


@pytest.mark.parametrize("refuses", ["", "no"])
def test_the_time_on_the_device_is_between_events_without_the_copies(
    session: TensorRtSession, cuda: FakeCuda, refuses: str
) -> None:
    cuda.refuses = refuses
    binding = session.bind({"x": rows(2)})
    assert binding.device_ns() == 1000
    binding.inputs["x"][...] = rows(2, 3)
    binding.run()
    assert binding.device_ns() == 1000
    np.testing.assert_array_equal(binding.outputs["y"], 2 * rows(2, 3) + 1)


# State


@pytest.mark.parametrize("refuses", ["", "no"])
@pytest.mark.parametrize("timed", [False, True])
def test_state_stays_on_the_device(
    session: TensorRtSession, cuda: FakeCuda, refuses: str, timed: bool
) -> None:
    cuda.refuses = refuses
    binding = session.bind({"x": rows(2)})
    if timed:
        binding.device_ns()
    captured = cuda.calls["captured"]
    binding.loop({"y": "x"})
    uploads = cuda.calls["upload"]
    expected = rows(2)
    for _ in range(4):
        binding.run()
        expected = 2 * expected + 1
        np.testing.assert_array_equal(binding.outputs["y"], expected)
    assert cuda.calls["upload"] == uploads
    assert cuda.calls["move"] == 4
    assert cuda.calls["captured"] == captured + (0 if timed else 1)


def test_state_begins_with_what_is_in_the_input_buffers(session: TensorRtSession) -> None:
    binding = session.bind({"x": rows(2)})
    binding.inputs["x"][...] = 7
    binding.loop({"y": "x"})
    binding.run()
    assert (binding.outputs["y"] == 15).all()
    # Looping again begins again.
    binding.loop({"y": "x"})
    binding.run()
    assert (binding.outputs["y"] == 15).all()


def test_state_that_does_not_fit_is_refused(cuda: FakeCuda) -> None:
    session = fake_session(FakeEngine(), cuda, unread=True)
    binding = session.bind({"x": rows(2), "unread": np.ones((2, 2), np.int64)})
    with pytest.raises(BadInput, match="no output 'z'"):
        binding.loop({"z": "x"})
    with pytest.raises(
        BadInput, match=r"'y' \(float32 \(2, 4\)\) cannot become the input 'unread'"
    ):
        binding.loop({"y": "unread"})


# Closing


def test_closing_frees_everything_and_twice_is_allowed(
    session: TensorRtSession, cuda: FakeCuda
) -> None:
    session.run({"x": rows(2)})
    bindings = [session.bind({"x": rows(batch)}) for batch in (1, 6)]
    bindings[0].device_ns()
    bindings[1].loop({"y": "x"})
    assert len(cuda.alive) == 6
    session.close()
    session.close()
    assert not cuda.alive
    assert not cuda.handles
    for binding in bindings:
        binding.close()
        with pytest.raises(BadInput, match="closed"):
            binding.run()
    for call in (
        lambda: session.run({"x": rows(2)}),
        lambda: session.bind({"x": rows(2)}),
        session.placement,
    ):
        with pytest.raises(BadInput, match="closed"):
            call()


def test_a_binding_that_is_dropped_gives_its_memory_back(
    session: TensorRtSession, cuda: FakeCuda
) -> None:
    """Whoever binds a thousand times does not close a session a thousand times."""
    for _ in range(3):
        session.bind({"x": rows(2)}).run()
        gc.collect()
    assert not cuda.alive
    assert not cuda.handles


def test_a_binding_that_outlives_its_session_keeps_no_memory(cuda: FakeCuda) -> None:
    session = fake_session(FakeEngine(), cuda)
    binding = session.bind({"x": rows(2)})
    output = binding.outputs["y"]
    session.close()
    del session
    gc.collect()
    assert not cuda.alive
    np.testing.assert_array_equal(output, 2 * rows(2) + 1)


def test_a_gpu_that_fails_is_unavailable(session: TensorRtSession, cuda: FakeCuda) -> None:
    def wait(stream: int) -> None:
        raise Unavailable("GPU 0: cudaStreamSynchronize says an illegal address.")

    binding = session.bind({"x": rows(2)})
    cuda.wait = wait  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="illegal address"):
        binding.run()

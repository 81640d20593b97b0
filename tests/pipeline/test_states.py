"""The record of a source's states."""

from __future__ import annotations

from edgekit.pipeline.states import StateLog


def test_a_state_is_told_once_and_the_end_is_the_end():
    told = []
    log = StateLog(lambda event: told.append(event.state))
    assert log.state == "connecting"
    for state in ("connecting", "live", "live", "stalled", "live", "ended", "live"):
        log.change(state)
    assert told == ["connecting", "live", "stalled", "live", "ended"]
    assert [event.state for event in log.events] == told
    assert log.state == "ended"


def test_reasons_and_times_are_kept():
    log = StateLog()
    log.change("live")
    log.change("reconnecting", "the cable")
    first, second = log.events
    assert second.reason == "the cable"
    assert second.at_s >= first.at_s >= 0


def test_a_source_that_flaps_for_weeks_fills_no_memory():
    log = StateLog()
    for _ in range(2000):
        log.change("live")
        log.change("stalled")
    assert len(log.events) == 1000
    assert log.events[-1].state == "stalled"

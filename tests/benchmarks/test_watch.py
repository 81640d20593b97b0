from collections import namedtuple

import psutil

from edgekit.benchmarks.watch import Reading, disturbances, read_machine, throttle_count


def test_an_undisturbed_span_has_nothing_to_say():
    assert disturbances(Reading(own_s=2.0, busy_s=2.05, idle_s=2.0)) == []


def test_others_steal_and_throttling_are_named():
    found = disturbances(Reading(own_s=1, busy_s=2, idle_s=1.5, steal_s=0.5, throttled=3))
    assert len(found) == 3
    assert "Other processes used 25%" in found[0]
    assert "hypervisor took 12%" in found[1]
    assert "throttled 3 times" in found[2]


def test_a_span_shorter_than_the_kernels_ticks_says_nothing():
    assert disturbances(Reading(own_s=0, busy_s=0.05, idle_s=0.05)) == []


def test_spans_are_differences_and_add_up():
    first, second = Reading(own_s=1, busy_s=2, throttled=1), Reading(own_s=4, busy_s=6, throttled=1)
    span = second.since(first)
    assert (span.own_s, span.busy_s, span.throttled) == (3, 4, 0)
    assert span.plus(span).own_s == 6
    assert second.since(Reading()).throttled is None


def test_the_machines_counters_grow():
    before = read_machine()
    sum(range(200_000))
    after = read_machine()
    assert after.own_s > before.own_s
    assert after.busy_s >= before.busy_s > 0
    assert after.idle_s >= before.idle_s > 0


def test_throttle_counters_of_all_cores_are_added(tmp_path):
    assert throttle_count(tmp_path) is None
    for core, count in enumerate((2, 5)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        folder.mkdir(parents=True)
        (folder / "core_throttle_count").write_text(f"{count}\n")
    assert throttle_count(tmp_path) == 7
    (folder / "core_throttle_count").write_text("what\n")
    assert throttle_count(tmp_path) is None


def test_guests_are_not_counted_twice_and_waiting_is_idle(monkeypatch):
    Times = namedtuple("Times", "user system idle iowait steal guest guest_nice")
    monkeypatch.setattr(psutil, "cpu_times", lambda: Times(10, 2, 30, 5, 1, 4, 1))
    found = read_machine()
    assert (found.busy_s, found.idle_s, found.steal_s) == (12, 35, 1)


def test_a_clock_that_is_set_during_the_measurement_is_named():
    span = Reading(clock_ns=10**9, wall_ns=3 * 10**9 + 10**9)
    assert disturbances(span) == [
        "The clock was set by +3.0 s, or the machine slept, during the measurement."
    ]
    assert disturbances(Reading(clock_ns=10**9, wall_ns=10**9 + 1000)) == []

import sys

import pytest

from edgekit.pipeline.turns import hurry, leave_hurry


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    # Python cuts it down to whole microseconds.
    yield lambda: round(sys.getswitchinterval(), 5)
    sys.setswitchinterval(before)


def test_the_last_one_to_leave_brings_back_what_was(interval):
    sys.setswitchinterval(0.004)
    hurry()
    hurry()
    assert interval() == 0.001
    leave_hurry()
    assert interval() == 0.001
    leave_hurry()
    assert interval() == 0.004


def test_a_shorter_interval_is_left_as_it_is(interval):
    sys.setswitchinterval(0.0002)
    hurry()
    assert interval() == 0.0002
    leave_hurry()
    assert interval() == 0.0002

import random

from edgekit.pipeline.foresight import Foresight


def learned(inferences_ms, layings_ms):
    foresight = Foresight()
    for each in inferences_ms:
        foresight.inferred(int(each * 1e6))
    for each in layings_ms:
        foresight.laid(int(each * 1e6))
    return foresight.lead_ns() / 1e6


def test_with_few_frames_seen_the_next_is_taken_at_once():
    assert learned([20] * 7, [1] * 100) == 0
    assert learned([20] * 100, [1] * 7) == 0
    assert learned([20] * 8, [1] * 8) > 0


def test_where_nothing_varies_a_frame_is_laid_out_when_the_engine_gets_free():
    # Half a percent of 20 ms may be lost.
    assert round(learned([20] * 64, [2] * 64), 6) == 18.1


def test_the_more_it_varies_the_earlier_a_frame_is_taken():
    leads = [learned([20] * 56 + [20 - 2 * by] * 8, [2] * 64) for by in range(5)]
    assert leads == sorted(leads, reverse=True)
    assert leads[0] > leads[-1]
    leads = [learned([20] * 64, [2] * 56 + [2 + 2 * by] * 8) for by in range(5)]
    assert leads == sorted(leads, reverse=True)


def test_the_engine_waits_for_half_a_percent_of_its_time_at_most():
    chance = random.Random(0)
    for spread in (0.1, 1, 5):
        inferences = [chance.gauss(20, spread) for _ in range(64)]
        layings = [chance.gauss(2, spread / 5) for _ in range(64)]
        lead = learned(inferences, layings)
        pairs = zip(inferences, layings, strict=True)
        lost = sum(max(0, lead + laying - inference) for inference, laying in pairs)
        assert abs(lost - 0.005 * sum(inferences)) < 0.001


def test_where_laying_takes_longer_the_next_frame_is_taken_at_once():
    assert learned([5] * 64, [7] * 64) == 0


def test_it_follows_an_engine_that_changes_its_speed():
    assert learned([50] * 100 + [10] * 64, [1] * 164) < 9.1

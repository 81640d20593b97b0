from edgekit.pipeline.foresight import Foresight


def learned(inferences_ms, preprocesses_ms):
    foresight = Foresight()
    for each in inferences_ms:
        foresight.inferred(int(each * 1e6))
    for each in preprocesses_ms:
        foresight.laid(int(each * 1e6))
    return foresight.lead_ns() / 1e6


def test_with_few_frames_seen_the_next_is_taken_at_once():
    assert learned([20] * 7, [1] * 100) == 0
    assert learned([20] * 100, [1] * 7) == 0
    assert learned([20] * 8, [1] * 8) > 0


def test_the_next_frame_is_laid_out_before_the_engine_is_free():
    lead = learned([20] * 32, [2] * 32)
    assert 15 < lead < 18


def test_it_counts_on_short_inferences_and_long_preprocessings():
    assert learned([20] * 24 + [15] * 8, [2] * 32) < 13
    assert learned([20] * 32, [2] * 24 + [6] * 8) < 14


def test_where_preprocessing_takes_longer_the_next_frame_is_taken_at_once():
    assert learned([5] * 32, [7] * 32) == 0


def test_it_follows_an_engine_that_changes_its_speed():
    assert learned([50] * 100 + [10] * 32, [1] * 32) < 9

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.metrics.classification import score_classification as scored
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification


def score_classification(*arguments, **options):
    return scored(*arguments, **options).metric


def answer(*probabilities):
    return Classification(np.array(probabilities, dtype=np.float32))


def random_answers(n, classes, seed):
    rng = np.random.default_rng(seed)
    return [answer(*row) for row in rng.dirichlet(np.ones(classes), n)]


@settings(max_examples=25)
@given(st.integers(1, 30), st.integers(6, 12), st.integers(0, 99))
def test_top1_and_top5_are_those_of_sorting(n, classes, seed):
    results = random_answers(n, classes, seed)
    truths = np.random.default_rng(seed + 1).integers(classes, size=n).tolist()
    found = score_classification(results, truths, None, resamples=5)
    orders = [np.argsort(-r.probabilities, kind="stable") for r in results]
    top1 = np.mean([order[0] == t for order, t in zip(orders, truths, strict=True)])
    top5 = np.mean([t in order[:5] for order, t in zip(orders, truths, strict=True)])
    assert found.value == pytest.approx(top1)
    assert found.others["top5"] == pytest.approx(top5)


def test_the_drop_is_paired_with_the_reference():
    reference = [answer(0.9, 0.1)] * 50
    entry = [answer(0.1, 0.9)] * 2 + reference[2:]
    found = score_classification(entry, [0] * 50, reference)
    assert (found.name, found.value, found.n) == ("top1", 0.96, 50)
    assert found.drop == pytest.approx(0.04)
    assert 0 <= found.drop_low <= 0.04 <= found.drop_high < 0.15


def test_few_classes_have_no_top5():
    assert score_classification([answer(0.9, 0.1)], [0], None).others == {}


def test_an_answer_that_is_not_finite_is_wrong():
    broken = answer(np.nan, np.nan)
    assert score_classification([broken, answer(1, 0)], [0, 0], None).value == 0.5


def test_of_equal_probabilities_the_first_class_wins():
    assert score_classification([answer(0.5, 0.5)], [0], None).value == 1
    assert score_classification([answer(0.5, 0.5)], [1], None).value == 0


def test_a_label_beyond_the_model_is_refused_by_image():
    with pytest.raises(BadInput, match="Image 1 is labelled class 2, and the model knows 2"):
        score_classification([answer(0.5, 0.5)] * 2, [0, 2], None)

"""Accuracy by class stays readable and small, however many classes there are."""

from __future__ import annotations

import base64
import csv
import io

from edgekit.benchmarks.report.classes import class_table
from edgekit.core.details import ClassScores


def scores(drops, reference=0.5):
    n = len(drops)
    return ClassScores(
        name="top1",
        unit="images",
        index=tuple(range(n)),
        n=(3,) * n,
        value=tuple(reference - drop for drop in drops),
        reference=(reference,) * n,
    )


def rows(table):
    content = base64.b64decode(table.file.partition("base64,")[2]).decode()
    return list(csv.reader(io.StringIO(content)))


def test_a_few_classes_are_all_listed_and_the_worst_stands_first():
    table = class_table(scores([0.0, 0.2, -0.1]), ["a", "b", "c"])
    ((heading, lines),) = table.parts
    assert heading == ""
    assert [line.label for line in lines] == ["b", "a", "c"]
    assert [line.drop for line in lines] == ["20.00", "0.00", "−10.00"]
    assert (table.total, table.worse, table.better) == (3, 1, 1)
    assert table.file == ""


def test_of_ten_thousand_classes_both_ends_are_listed_and_all_are_in_the_file():
    drops = [(at - 5000) / 20_000 for at in range(10_000)]
    table = class_table(scores(drops), [f"class {at}" for at in range(10_000)])
    (_, worst), (_, best) = table.parts
    assert worst[0].label == "class 9999"
    assert best[0].label == "class 0"
    assert len(worst) + len(best) == 20
    content = rows(table)
    assert len(content) == 10_001
    assert content[1][:2] == ["9999", "class 9999"]
    assert len(table.file) < 800_000


def test_a_label_is_no_formula_of_a_spreadsheet():
    labels = ["=HYPERLINK(1)", "+1", "-1", "@x", *(str(at) for at in range(60))]
    found = {row[1] for row in rows(class_table(scores([0.0] * 64), labels))}
    assert {"'=HYPERLINK(1)", "'+1", "'-1", "'@x"} <= found


def test_a_class_without_a_name_is_told_by_its_index():
    table = class_table(scores([0.0, 0.1]), ["only"])
    assert [line.label for line in table.parts[0][1]] == ["1", "only"]


def test_without_a_reference_there_is_no_drop():
    alone = ClassScores(name="IoU", unit="pixels", index=(0,), n=(9,), value=(0.25,))
    (line,) = class_table(alone, ()).parts[0][1]
    assert (line.value, line.reference, line.drop) == ("0.250", "–", "–")

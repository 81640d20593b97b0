"""What is printed fits the terminal: no figure broken, no name cut, nothing steers the terminal."""

from __future__ import annotations

import io
import re
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from edgekit.cli.show import show
from edgekit.cli.show.layout import Grid, fold, wrapped
from edgekit.cli.terminal import UNBOUNDED, console_on_stdout, forgive_encodings
from edgekit.core.documents import (
    BenchDocument,
    CacheDocument,
    DoctorDocument,
    DoctorTarget,
    NodeWork,
    OutputParity,
    PlannedStage,
    PredictedClass,
    PredictedImage,
    VerifyEntry,
)
from edgekit.core.texts import safe

replace = msgspec.structs.replace
WIDTHS = (60, 80, 120)
LONG = "mixed-int8-u8s8-keep-head-and-first-block-in-float32"
WORD = "a_name_without_any_place_where_it_could_be_broken_that_is_wider_than_sixty_cells"
WIDE = "交通信号灯🚦/ネコ🐈"
HOSTILE = "person\x1b[31m\x1b]0;title\x07\r\n\u202ecat"
# Lines that are copied and so are never broken: paths, sums, commands.
VERBATIM = ("bundle  ", "fix: ", "sha256 ", "samples  ", "cache  ", "model  ", "main  ", "folder  ")


def shown(document, width=80):
    stream = io.StringIO()
    show(document, Console(file=stream, width=width, highlight=False, no_color=True))
    return stream.getvalue()


def prose(text):
    """The lines that must fit."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(VERBATIM)]
    # A single word that is wider than the terminal stays whole in a sentence: it may be a path.
    return [line for line in lines if len(line.split()) > 1]


def squeezed(text):
    """Without what folding puts in: spaces and line breaks."""
    return re.sub(r"\s", "", text)


def letters(text):
    """How often each stands there; the hyphen of a header of two lines does not count."""
    return Counter(squeezed(text.replace("-", "")))


def hard(samples, make):
    """Documents that are as wide as they come, with names that must be found and figures."""
    entry, bench = make["deploy_entry"], make["bench_entry"]
    several = ("fp32", "fp16", "int8-u8s8", "int8-s8s8", LONG, f"{LONG}-2", WORD)
    entries = tuple(
        entry(target, variant, compute, verdict, p50=12345.6, valid=False, reasons=("busy",))
        for target in ("onnxruntime:cpu", "openvino:gpu:1")
        for variant in several
        for compute, verdict in (("fp32", "UNVERIFIED"), ("bf16", "FAIL"))
    )
    inspected = samples["inspect"].graphs[0]
    nodes = tuple(
        NodeWork(
            name=f"/model/{number}/{WORD}/Conv",
            op="ConvTransposeOfALongName",
            flops=123_456_700_000,
            bytes=40_000_000,
            precision="float32",
            module=f"backbone.{WORD}.{number}.conv",
        )
        for number in range(5)
    )
    parity = tuple(
        OutputParity(
            role=role, output=f"{WIDE}/{WORD}", shape=(64, 1000, 128, 128), max_abs=1.2345e-5,
            max_rel=123456.0, cosine=0.999999, sqnr_db=-112.3,
        )
        for role in ("encoder", "decoder_with_past")
    )  # fmt: skip
    stage = samples["plan"].stages[1]
    plan = replace(
        samples["plan"],
        stages=tuple(
            PlannedStage(
                stage="certificate", subject=f"{WORD}, {LONG} on openvino:gpu:1 in bf16",
                cached=False, seconds=5399.0, size_bytes=123_456_789, basis=stage.basis,
            )
            for _ in range(3)
        ),
    )  # fmt: skip
    target = DoctorTarget(
        target="onnxruntime:ep=" + "X" * 30, usable=False, fix="pip install " + "y" * 90,
        reason="The library says: " + "no such device, " * 12,
    )  # fmt: skip
    change = samples["diff"].bundle
    long = {f"{WORD}.{number}": value for number, value in enumerate(change.values())}
    return {
        "deploy": (make["deploy"](entries=entries), (*several, "12346 (12099–13580) !")),
        "bench": (
            BenchDocument(
                model="m.onnx",
                environment=samples["bench"].environment,
                entries=tuple(bench(variant=one, p50_ms=12345.6, p50_low_ms=12000.0,
                                    p50_high_ms=13000.0, valid=False) for one in several),
            ),
            (*several, "12346 (12000–13000) !", "312 MB"),
        ),
        "inspect": (
            replace(samples["inspect"], graphs=(replace(inspected, by_node=nodes),)),
            (*(node.module for node in nodes), "123,456.7"),
        ),
        "diff": (replace(samples["diff"], bundle=long), tuple(long)),
        "export": (
            replace(samples["export"], parity=parity),
            (f"{WIDE}/{WORD}", "64×1000×128×128", "0.999999", "1.2e+05"),
        ),
        "quantize": (replace(samples["quantize"], parity=parity), ("decoder_with_past", "-112.3")),
        "parity": (replace(samples["parity"], outputs=parity), (WORD, "-112.3")),
        "plan": (plan, (WORD, LONG, "90 min", "123 MB")),
        "cache": (
            CacheDocument(
                folder="/cache", size_bytes=1, limit_bytes=2, by_stage={"engine": 1},
                entries=tuple(replace(samples["cache"].entries[0], subject=f"{WORD}, {one}")
                              for one in several),
            ),
            (*several, "2026-11-23 10:00", "abababababab", "1.2 MB"),
        ),
        "verify": (
            replace(
                samples["verify"],
                entries=tuple(
                    VerifyEntry(target="openvino:gpu:1", variant=one, compute="bf16",
                                verdict="UNVERIFIED", checks=samples["verify"].entries[0].checks)
                    for one in several
                ),
                damaged=(f"variants/{WORD}/{WIDE}.onnx was changed.",),
            ),
            (*several, "UNVERIFIED", "openvino:gpu:1"),
        ),
        "pack": (
            replace(
                samples["pack"],
                files={f"models/{WORD}/{WIDE}/engine.blob": samples["pack"].files["model.onnx"]},
            ),
            (WORD, "250 kB"),
        ),
        "doctor": (
            DoctorDocument(targets=(target,), problems=("It is full. " * 20,),
                           environment=samples["doctor"].environment),
            ("X" * 30,),
        ),
        "predict": (
            replace(
                samples["predict"],
                images=(
                    PredictedImage(
                        image=f"photos/{WORD}/{WIDE}.jpg", width=8, height=8,
                        classes=tuple(PredictedClass(label=f"{WIDE} {number}", class_index=number,
                                                     probability=0.3333) for number in range(3)),
                    ),
                ),
            ),
            (f"photos/{WORD}/{WIDE}.jpg", "33.3 %", f"{WIDE} 2"),
        ),
    }  # fmt: skip


HARD = (
    "deploy", "bench", "inspect", "diff", "export", "quantize", "parity", "plan", "cache", "verify",
    "pack", "doctor", "predict",
)  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_every_document_fits_every_width(samples, engines, plan_file, width):
    for name, document in {**samples, "engines": engines, "plan file": plan_file}.items():
        for line in prose(shown(document, width)):
            assert cell_len(line) <= width, f"{name}: {line}"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", HARD)
def test_the_widest_documents_fit_with_every_name_and_figure(samples, make, name, width):
    document, wanted = hard(samples, make)[name]
    text = shown(document, width)
    for line in prose(text):
        assert cell_len(line) <= width, line
    # Folded names stand beside each other, so letters are counted: without a terminal every name
    # is there whole (a test below), and no letter of that is missing here.
    assert not letters(shown(document, UNBOUNDED)) - letters(text)
    assert name == "diff" or "…" not in text
    # A figure stands on one line, with its unit and its interval.
    for figure in (word for word in wanted if re.match(r"[\d-]", word)):
        assert figure in text


@pytest.mark.parametrize("name", HARD)
def test_what_is_no_terminal_gets_a_row_a_line(samples, make, name, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    document, wanted = hard(samples, make)[name]
    show(document)
    text = capsys.readouterr().out
    assert "\x1b" not in text
    for word in wanted:
        assert word in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_columns_decides_without_a_terminal_too(monkeypatch, capsys, samples):
    monkeypatch.setenv("COLUMNS", "50")
    show(samples["deploy"])
    assert max(cell_len(line) for line in prose(capsys.readouterr().out)) <= 50
    monkeypatch.delenv("COLUMNS")
    assert console_on_stdout().width == UNBOUNDED


def test_no_name_is_shortened_to_that_of_its_neighbour(samples):
    graph = samples["inspect"].graphs[0]
    names = [f"backbone.stage.{number}.block.conv.weight_of_a_long_name" for number in range(12)]
    nodes = tuple(
        NodeWork(name=name, op="Conv", flops=1, bytes=1, precision="fp32") for name in names
    )
    document = replace(samples["inspect"], graphs=(replace(graph, by_node=nodes),), top=12)
    whole = letters(shown(document, UNBOUNDED))
    for width in WIDTHS:
        rows = shown(document, width)
        assert "…" not in rows
        assert not whole - letters(rows)


def test_long_values_that_differ_late_are_seen_to_differ(samples):
    change = replace(samples["diff"].card["postprocess.confidence"], before="a" * 9000 + "b",
                     after="a" * 9000 + "c")  # fmt: skip
    text = squeezed(shown(replace(samples["diff"], card={"labels": change})))
    assert f"…{'a' * 20}b" in text
    assert f"{'a' * 20}c" in text
    assert len(text) < 3000


@pytest.mark.parametrize("width", WIDTHS)
def test_names_from_files_cannot_steer_the_terminal(samples, make, width):
    image = PredictedImage(
        image=HOSTILE, width=8, height=8,
        classes=(PredictedClass(label=HOSTILE, class_index=0, probability=None),),
    )  # fmt: skip
    change = next(iter(samples["diff"].bundle.values()))
    documents = (
        replace(samples["predict"], images=(image,), skipped=(HOSTILE,), output=HOSTILE),
        make["deploy"](bundle=HOSTILE, notes=(HOSTILE,),
                       entries=(make["deploy_entry"](HOSTILE, HOSTILE, "fp32", error=HOSTILE),)),
        replace(samples["inspect"], model=HOSTILE),
        replace(samples["diff"], before=HOSTILE, card={HOSTILE: change}),
    )  # fmt: skip
    for document in documents:
        text = shown(document, width)
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text)
        assert r"\x1b[31m" in squeezed(text)


def test_controls_become_visible_and_letters_stay():
    assert safe("a\x1b[0m\x07\u202eb\tc\nd\x9b") == r"a\x1b[0m\x07\u202eb c d\x9b"
    assert safe(WIDE) == WIDE


def test_a_row_becomes_a_name_above_its_figures_and_then_a_paragraph():
    table = Grid(("name", "\nms", "of-\nten"), [("a-rather-long-name", "12.0 (11.8–12.4)", "3")])

    def at(width):
        stream = io.StringIO()
        Console(file=stream, width=width, no_color=True).print(table)
        return stream.getvalue().splitlines()

    assert at(42)[-1] == "a-rather-long-name 12.0 (11.8–12.4)   3"
    assert at(24)[-2:] == ["a-rather-long-name", "  12.0 (11.8–12.4)   3"]
    assert at(20)[-4:] == ["a-rather-long-name", "    ms", "    12.0 (11.8–12.4)", "    often 3"]


@given(st.text(min_size=1, max_size=60), st.integers(min_value=2, max_value=40))
def test_folding_loses_nothing_and_keeps_to_the_width(text, width):
    name = safe(text)
    lines = fold(Text(name), width)
    assert squeezed("".join(line.plain for line in lines)) == squeezed(name)
    assert all(cell_len(line.plain) <= width for line in lines)


@given(
    st.lists(st.text("abc猫", min_size=1, max_size=12), min_size=1, max_size=20),
    st.integers(min_value=4, max_value=60),
)
def test_wrapping_breaks_between_words_only(words, width):
    lines = wrapped(Text(" ".join(words)), width, indent=2)
    assert [word for line in lines for word in line.plain.split()] == words
    for line in lines:
        assert cell_len(line.plain) <= width or len(line.plain.split()) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437", "shift_jis"])
def test_every_document_can_be_printed_in_every_encoding(samples, make, monkeypatch, encoding):
    documents = [*samples.values(), *(document for document, _ in hard(samples, make).values())]
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    forgive_encodings()
    for document in documents:
        show(document)
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)
    if encoding == "ascii":
        assert "* fp32" in written
        assert "x fp32: times as fast as fp32" in written
        assert "12.0 (11.8-13.2)" in written
    assert max(cell_len(line) for line in prose(written)) <= 80

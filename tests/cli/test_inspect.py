"""inspect in words: work, limits, round trips, and two models side by side."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from edgekit.cli.show import show

replace = msgspec.structs.replace


def shown(document):
    stream = io.StringIO()
    show(document, Console(file=stream, width=80, highlight=False, no_color=True))
    return stream.getvalue()


def words(document):
    return " ".join(shown(document).split())


def test_the_options_reach_the_api(invoke, answer, samples):
    calls = answer("inspect", samples["inspect"])
    assert invoke("inspect", "m.onnx", "--nodes", "20").status == 0
    assert calls == [(("m.onnx",), {"top": 20})]
    calls = answer("inspect_diff", samples["diff"])
    assert invoke("inspect", "--diff", "a.onnx", "b.onnx").status == 0
    assert calls[-1] == (("a.onnx", "b.onnx"), {"top": 5})


def test_a_diff_is_a_document_too_and_ends_with_0(invoke, answer, samples):
    answer("inspect_diff", samples["diff"])
    outcome = invoke("inspect", "--diff", "a.onnx", "b.onnx", "--json")
    assert (outcome.status, outcome.document["schema"]) == (0, "edgekit.diff/1")


@pytest.mark.parametrize("wrong", [["--nodes", "-1"], ["--nodes", "many"], ["--diff", "a.onnx"]])
def test_wrong_usage_is_2(invoke, wrong):
    assert invoke("inspect", *wrong).status == 2


def test_work_axes_and_precision_are_said(samples):
    text = words(samples["inspect"])
    assert "axis batch 1 to 64, typically 8; counted at 1" in text
    assert "precision fp32: 50 % int8, 50 % fp32 of FLOPs" in text
    assert "700.0 MFLOP, 50.0 MB moved, 14 FLOP/byte" in text
    assert "not counted in full, of unknown size: unknown" in text
    assert "features.3.squeeze" in text
    assert "Conv 26 700.0 100 % 40.0 MB 80 %" in text


def test_what_int8_costs_is_said(samples):
    text = words(samples["inspect"])
    assert "50 % of FLOPs are written in int8; ONNX Runtime has int8 kernels for 25 %" in text
    assert "2 round trips out of int8 and back" in text
    assert "move 12.0 MB, 24 % of all" in text
    assert "1 island Conv Sigmoid Mul 12.0 MB" in text


def test_limits_are_said_with_their_reasons(samples):
    text = words(samples["inspect"])
    assert "onnxruntime 1.32.0 ok 7–28 to 14" in text
    assert "openvino 2026.4.1 (not here) unknown ? ?" in text
    assert "openvino 2026.4.1: Any opset is read" in text


def test_the_tables_of_nodes_have_as_many_rows_as_asked_for(samples):
    document = samples["inspect"]
    assert "most FLOPs" in shown(document)
    assert "most FLOPs" not in shown(replace(document, top=0))
    assert "1 kinds more; see --nodes 2" in words(replace(document, top=1))


def test_equal_models_are_one_sentence(samples):
    document = replace(samples["diff"], equal=True, graphs=(), card={}, bundle={}, entries=())
    assert shown(document).splitlines()[-1] == "Nothing differs."


def test_a_diff_names_what_differs(samples):
    text = words(samples["diff"])
    assert "opset 17 20" in text
    assert "postprocess.confidence 0.25 0.4" in text
    assert "fc (Gemm): inputs, now fc2" in text
    assert "w float [3]: 2 elements differ, by 0.5 at most" in text
    assert "1 nodes were only renamed" in text
    assert "edgekit.card 1 keys 0 keys" in text
    assert max(len(line) for line in shown(samples["diff"]).splitlines()) <= 80


def test_an_engine_says_where_it_runs_and_what_built_it(engines):
    text = words(engines)
    assert "target tensorrt-rtx:cuda built for any GPU, SM 8.6, SM 12.0" in text
    assert "built by TensorRT for RTX 1.7.1.116, elsewhere (--trust-engine)" in text
    assert "built by TensorRT for RTX 1.7.1.116, on this machine" in text
    assert "threads 2, may fall back, portable over versions, portable over GPUs" in text
    assert "input image float32 [batch, 3, 64, 64]" in text
    assert "profile image 1x3x64x64 to 4x3x64x64 to 8x3x64x64" in text
    assert "planned 75 % int8, 25 % fp32 of products" in text
    assert "memory 248 kB weights, 9.7 MB activations, with the largest shapes" in text


def test_an_engine_lists_its_layers_by_kind_and_the_first(engines):
    text = words(engines)
    assert "ACTIVATION fp32 6" in text
    assert "of 7 layers; see --nodes 7" in text
    assert "tanh_3" in text
    assert "tanh_5" not in text
    everything = words(replace(engines, top=7))
    assert "tanh_5" in everything
    assert "see --nodes" not in everything
    assert "kind of layer" not in words(replace(engines, top=0))


def test_what_a_build_told_and_what_is_wrong_with_an_engine_is_said(engines):
    text = words(engines)
    assert "note The build ran out of memory with 1 GB of scratch." in text
    assert "note Detected layers with unusual precision." in text
    assert text.count("It is not the file that was built: its sha256 is another.") == 1


def test_a_plan_of_another_program_says_what_stands_in_front_of_it(plan_file):
    text = words(plan_file)
    assert "task detection, 1 labels" in text
    assert "stride 32" in text
    assert "xxx" not in text
    assert "built by" not in text
    bare = replace(plan_file.engines[0], metadata=None)
    assert "header none" in words(replace(plan_file, engines=(bare,)))

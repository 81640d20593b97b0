"""`edgekit.load(model).predict(image)`: the right entry, the same answers however it is asked."""

from __future__ import annotations

import shutil
import threading
import warnings
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image as Pillow

import edgekit
from edgekit import api
from edgekit.core.documents import DeployDocument
from edgekit.core.errors import BadInput, CheckFailed, Unavailable
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.model.bundle import read_manifest, seal
from edgekit.jobs.opening.predictor import open_predictor
from edgekit.jobs.steps.engine import compile_graph, open_engines
from edgekit.runtimes.catalogue import parse_target
from edgekit.tasks.datasets import open_dataset
from edgekit.tasks.predictions import BoxPrediction, MaskPrediction
from edgekit.tasks.registry import task_for

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def predictor(deployed):
    with edgekit.load(deployed[1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures(digits):
    return sorted((digits / "images").glob("*.png"))[:40]


def edited(bundle, folder, change):
    """A copy of a bundle whose deploy.json says something else, sealed again."""
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    document = msgspec.json.decode((copy / "deploy.json").read_bytes(), type=DeployDocument)
    (copy / "deploy.json").write_bytes(msgspec.json.encode(change(document)))
    seal(copy, read_manifest(copy))
    return copy


def judged(verdicts):
    """Give every entry the verdict of its target, and recommend what is left."""

    def change(document):
        entries = tuple(replace(one, verdict=verdicts[one.target]) for one in document.entries)
        return replace(document, entries=entries)

    return change


# Which entry runs


def test_a_bundle_runs_its_best_entry(deployed, predictor):
    best = deployed[0].best
    assert (predictor.target, predictor.variant, predictor.compute) == (
        best.target, best.variant, best.compute,
    )  # fmt: skip
    assert (predictor.verdict, predictor.warnings, predictor.task) == ("PASS", (), "classification")


@pytest.mark.parametrize("target", ["onnxruntime:cpu", "ov"])
def test_the_target_that_is_asked_for_runs(deployed, target, pictures):
    with edgekit.load(deployed[1], target=target) as opened:
        assert opened.target == str(parse_target(target))
        assert opened.predict(pictures[0]).probability > 0.5


def test_a_target_that_the_bundle_was_not_certified_on_is_refused(deployed):
    with pytest.raises(BadInput, match="nothing for onnxruntime:cuda") as caught:
        edgekit.load(deployed[1], target="onnxruntime:cuda")
    assert "Did you mean 'onnxruntime:cpu'" in caught.value.hint
    with pytest.raises(BadInput, match="nothing for bf16"):
        edgekit.load(deployed[1], compute="bf16")


def test_a_target_that_is_not_here_is_never_replaced_by_another(deployed, tmp_path, digits_onnx):
    def moved(document):
        elsewhere = tuple(replace(one, target="openvino:npu") for one in document.entries)
        return replace(document, entries=elsewhere, recommended=(), best=None)

    bundle = edited(deployed[1], tmp_path, moved)
    for target in (None, "openvino:npu"):
        with pytest.raises(Unavailable, match="openvino:npu"):
            edgekit.load(bundle, target=target)
    with pytest.raises(Unavailable, match="onnxruntime:cuda"):
        edgekit.load(digits_onnx, target="onnxruntime:cuda")


def test_the_best_that_is_usable_here_runs_where_the_best_is_not(deployed, tmp_path):
    def moved(document):
        entries = tuple(
            replace(one, target="onnxruntime:cuda") if one.target == "onnxruntime:cpu" else one
            for one in document.entries
        )
        best = replace(document.best, target="onnxruntime:cuda", variant="fp32")
        return replace(document, entries=entries, best=best)

    with edgekit.load(edited(deployed[1], tmp_path, moved)) as opened:
        assert opened.target == "openvino:cpu"


def test_what_failed_its_certificate_runs_only_where_it_is_named(deployed, tmp_path, pictures):
    verdicts = {"onnxruntime:cpu": "FAIL", "openvino:cpu": "PASS"}
    bundle = edited(deployed[1], tmp_path, judged(verdicts))
    with edgekit.load(bundle) as opened:
        assert opened.target == "openvino:cpu"
    with pytest.raises(CheckFailed, match="failed the certificate") as refusal:
        edgekit.load(bundle, target="ort")
    assert f"{bundle}@" in refusal.value.hint
    with pytest.warns(UserWarning, match="fp32 on onnxruntime:cpu in fp32 failed"):
        opened = edgekit.load(f"{bundle}@fp32", target="ort")
    with opened:
        assert (opened.verdict, opened.predict(pictures[0]).labels[0]) == ("FAIL", "0")


def test_what_is_unverified_runs_after_what_passes(deployed, tmp_path):
    verdicts = {"onnxruntime:cpu": "UNVERIFIED", "openvino:cpu": "PASS"}
    with edgekit.load(edited(deployed[1], tmp_path / "a", judged(verdicts))) as opened:
        assert (opened.target, opened.verdict) == ("openvino:cpu", "PASS")
    verdicts["openvino:cpu"] = "FAIL"
    with edgekit.load(edited(deployed[1], tmp_path / "b", judged(verdicts))) as opened:
        assert (opened.target, opened.verdict) == ("onnxruntime:cpu", "UNVERIFIED")


def test_a_named_variant_runs(deployed):
    with edgekit.load(f"{deployed[1]}@int8", target="ov") as opened:
        assert opened.variant == "int8-u8s8"
    with pytest.raises(BadInput, match="no variant 'fp31'"):
        edgekit.load(f"{deployed[1]}@fp31")


def test_a_variant_that_was_never_certified_there_runs_with_a_warning(deployed, tmp_path):
    def forgotten(document):
        kept = tuple(one for one in document.entries if one.target != "onnxruntime:cpu")
        return replace(document, entries=kept)

    bundle = edited(deployed[1], tmp_path, forgotten)
    with pytest.warns(UserWarning, match="never certified on onnxruntime:cpu"):
        opened = edgekit.load(f"{bundle}@fp32", target="ort")
    assert opened.verdict is None
    opened.close()


def test_nothing_is_warned_of_a_good_entry(deployed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgekit.load(deployed[1]).close()


@pytest.mark.parametrize("name", ["variants/fp32/main.onnx", "deploy.json"])
def test_a_flipped_byte_in_what_runs_is_named(deployed, tmp_path, name):
    bundle = tmp_path / "bundle"
    shutil.copytree(deployed[1], bundle)
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BadInput, match=name):
        edgekit.load(f"{bundle}@fp32")


def test_the_bundles_own_engine_is_opened_only_on_trust(deployed, tmp_path, monkeypatch, pictures):
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    with edgekit.load(deployed[1], trust_engine=True) as opened:
        assert opened.predict(pictures[0]).probability > 0.5
    assert not (tmp_path / "cache").exists()
    # Other options than those it was built with: compiled anew.
    with edgekit.load(deployed[1], trust_engine=True, threads=1) as opened:
        assert opened.predict(pictures[0]).probability > 0.5
    assert (tmp_path / "cache" / "stages" / "engine").is_dir()


def test_an_onnx_file_runs_with_the_card_inside(digits_onnx, pictures, predictor):
    with edgekit.load(digits_onnx, target="ov") as opened:
        assert (opened.variant, opened.verdict) == ("fp32", None)
        assert opened.predict(pictures[0]).label == predictor.predict(pictures[0]).label


def test_what_does_not_exist_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        edgekit.load(tmp_path / "nothing.onnx")
    with pytest.raises(BadInput, match="confidence"):
        edgekit.load(tmp_path / "nothing.onnx", confidence=2)


# What goes in


def test_a_path_an_array_and_a_pil_image_get_one_answer(predictor, pictures):
    expected = predictor.predict(pictures[0])
    array = cv2.imread(str(pictures[0]))
    for value in (str(pictures[0]), array, Pillow.open(pictures[0]), array[..., 0]):
        assert np.array_equal(predictor.predict(value).probabilities, expected.probabilities)
    rgb = predictor.predict(array[..., ::-1], colour="RGB")
    assert np.array_equal(rgb.probabilities, expected.probabilities)


def test_several_images_get_an_answer_each_in_order(predictor, pictures):
    single = [predictor.predict(path).probabilities for path in pictures]
    for batch in (1, 7, 64):
        together = predictor.predict(pictures, batch=batch)
        assert len(together) == len(pictures)
        for one, expected in zip(together, single, strict=True):
            np.testing.assert_allclose(one.probabilities, expected, rtol=1e-4, atol=1e-6)
    assert predictor.predict([]) == []
    with pytest.raises(BadInput, match="batch"):
        predictor.predict(pictures, batch=0)


def test_many_are_read_only_as_far_as_asked(predictor, pictures):
    seen = []

    def paths():
        for path in pictures:
            seen.append(path)
            yield path

    answers = predictor.predict_many(paths(), batch=4)
    assert seen == []
    next(answers)
    assert len(seen) == 4


def test_timings_add_up_to_about_the_call(predictor, pictures):
    timings = predictor.predict(pictures[0]).timings
    assert min(timings.read, timings.preprocess, timings.inference, timings.postprocess) > 0


def test_a_closed_predictor_says_so(deployed, pictures):
    with edgekit.load(deployed[1]) as opened:
        pass
    opened.close()
    with pytest.raises(BadInput, match="closed"):
        opened.predict(pictures[0])


def test_a_classifier_takes_images_and_says_so(predictor):
    with pytest.raises(BadInput, match=r"takes images.*run\(feeds\)"):
        predictor.predict({"x": np.zeros((1, 1, 32, 32), np.float32)})
    with pytest.raises(BadInput, match="None"):
        predictor.predict(None)


@pytest.mark.parametrize("target", ["ort", "ov"])
def test_eight_threads_get_what_one_gets(deployed, target, pictures):
    with edgekit.load(deployed[1], target=target) as opened:
        expected = [opened.predict(path).probabilities for path in pictures]
        wrong = []

        def work(first):
            for place in [*range(first, len(pictures)), *range(first)]:
                answer = opened.predict(pictures[place]).probabilities
                if not np.array_equal(answer, expected[place]):
                    wrong.append(place)

        threads = [threading.Thread(target=work, args=(5 * number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


# Models without a task, and of several graphs


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A sum of two inputs with a dynamic batch, without a card."""
    import onnx
    from onnx import TensorProto, helper

    path = tmp_path_factory.mktemp("raw") / "sum.onnx"
    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "abc"
    ]
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["c"])], "g", tensors[:2], [tensors[2]]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def test_a_raw_model_takes_arrays_by_name(raw):
    one = np.ones((2, 3), np.float32)
    with edgekit.load(raw) as opened:
        answer = opened.predict({"a": one, "b": one})
        assert np.array_equal(answer.outputs["c"], 2 * one)
        assert answer.to_dict()["outputs"]["c"]["values"] == [[2.0] * 3] * 2
        assert [info.name for info in opened.inputs] == ["a", "b"]
        with pytest.raises(BadInput, match="'b' is missing"):
            opened.predict({"a": one})
        with pytest.raises(BadInput, match=r"takes arrays .* a float32 \[batch, 3\]"):
            opened.predict(np.zeros((4, 4, 3), np.uint8))


def test_a_model_of_several_graphs_runs_each_by_its_role(toy, tmp_path):
    graphs = tmp_path / "toy"
    arch = f"{Path(__file__).parent.parent / 'models' / 'toy_seq.py'}:toy_seq"
    api.export(str(toy / "toy.pth"), graphs, arch=arch, trust_code=True)
    with edgekit.load(graphs) as opened:
        feeds = {
            info.name: np.zeros([1 if isinstance(n, str) else n for n in info.shape], info.dtype)
            for info in opened.inputs
        }
        assert opened.run(feeds, "encoder")
        with pytest.raises(BadInput, match=r"several graphs.*encoder"):
            opened.run(feeds)
        with pytest.raises(BadInput, match="no graph 'encode'"):
            opened.run(feeds, "encode")


# A fixed batch larger than one


def test_a_graph_of_a_fixed_batch_answers_any_number_of_images(digits_onnx, tmp_path, pictures):
    import onnx

    model = onnx.load(digits_onnx)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, tmp_path / "four.onnx")
    with edgekit.load(tmp_path / "four.onnx") as four, edgekit.load(digits_onnx) as any_number:
        assert four.batch_size(1) == 4
        for count in (1, 4, 6):
            for one, other in zip(
                four.predict(pictures[:count]), any_number.predict(pictures[:count]), strict=True
            ):
                np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-4)


# Real models on real images: what the evaluation answers, the predictor answers


def evaluated(model, target, samples, folder):
    """Boxes and masks by the road that scores a model: no predictor in it."""
    from edgekit.jobs.model.resolve import resolve_model
    from edgekit.tasks.samples import feeds, load

    resolved = resolve_model(str(model))
    task = task_for(resolved.card)
    where = parse_target(target)
    compile_graph(
        resolved.variant.path(), where, CompileOptions(), folder, folder / "kept", Silent()
    )
    with open_engines({"main": folder})["main"] as session:
        for sample in samples:
            fed, fit = feeds(load(sample), task, session.inputs[0].name)
            yield task.postprocess(session.run(fed), fit)


@pytest.mark.realdata
@pytest.mark.parametrize("target", ["onnxruntime:cpu", "openvino:cpu"])
def test_a_detector_answers_as_it_was_scored(realdata, tmp_path, target):
    model = realdata / "models" / "yolox_nano_original.onnx"
    (tmp_path / "engine").mkdir()
    with edgekit.load(model, target=target) as opened:
        samples = open_dataset(realdata / "coco" / "val", opened.card).samples[:12]
        results = list(evaluated(model, target, samples, tmp_path / "engine"))
        found = opened.predict([sample.path for sample in samples], batch=4)
        assert sum(len(one.boxes) for one in results) > 20
        for expected, got in zip(results, found, strict=True):
            assert isinstance(got, BoxPrediction)
            assert [one.class_index for one in got] == expected.classes.tolist()
            boxes = np.array([one.box for one in got], np.float32).reshape(-1, 4)
            np.testing.assert_allclose(boxes, expected.boxes, atol=0.01)
            assert all(one.label == opened.labels[one.class_index] for one in got)
        with open_predictor(model, target=target, confidence=0.6) as strict:
            sure = strict.predict(samples[0].path)
            assert 0 < len(sure) < len(found[0])
            assert min(one.score for one in sure) >= 0.6


@pytest.mark.realdata
@pytest.mark.slow
def test_a_segmentation_answers_as_it_was_scored(realdata, tmp_path):
    api.export(str(realdata / "models" / "espnetv2_s1.0_voc.pt2"), tmp_path / "net.onnx")
    (tmp_path / "engine").mkdir()
    with edgekit.load(tmp_path / "net.onnx", target="ort") as opened:
        samples = open_dataset(realdata / "coco" / "val", opened.card).samples[:3]
        results = evaluated(tmp_path / "net.onnx", "ort", samples, tmp_path / "engine")
        for sample, expected in zip(samples, results, strict=True):
            got = opened.predict(sample.path)
            assert isinstance(got, MaskPrediction)
            assert np.array_equal(got.mask, expected.mask)
            assert got.mask.shape == got.size == cv2.imread(str(sample.path)).shape[:2]
            assert sum(one.share for one in got.shares) == pytest.approx(1)


@pytest.mark.realdata
@pytest.mark.slow
def test_a_classifier_answers_as_it_was_scored(realdata, tmp_path):
    arch = f"{Path(__file__).parent.parent / 'models' / 'squeezenet.py'}:squeezenet1_1"
    weights = str(realdata / "models" / "squeezenet1_1.pth")
    api.export(weights, tmp_path / "net.onnx", arch=arch, trust_code=True)
    (tmp_path / "engine").mkdir()
    with edgekit.load(tmp_path / "net.onnx", target="ov") as opened:
        samples = open_dataset(realdata / "imagenet", opened.card).samples[:8]
        results = list(evaluated(tmp_path / "net.onnx", "ov", samples, tmp_path / "engine"))
        for expected, got in zip(
            results, opened.predict([s.path for s in samples], batch=8), strict=True
        ):
            np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-4)
            assert got.label == opened.labels[int(expected.probabilities.argmax())]

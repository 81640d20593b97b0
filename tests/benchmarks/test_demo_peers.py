"""The live demo's benchmark counts what it says, and misses no goal quietly."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest

NAMES = (
    "demo",
    "demo_hand_loop",
    "demo_models",
    "demo_soak",
    "demo_worker",
    "make_ultralytics_env",
)


@pytest.fixture(scope="module")
def peers(root):
    sys.path.insert(0, str(root / "tools/peers"))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(root / "tools/peers"))
        for name in NAMES:
            sys.modules.pop(name, None)


def judged(demo, new, base, goal=1.05):
    ours = demo.DemoCase("edgekit", "openvino", "640x640")
    theirs = demo.DemoCase("ultralytics", "openvino", "640x640")
    pair = demo.Pair("the same graph", ours, theirs, goal)
    taken = {ours: demo.Turns(rates=new), theirs: demo.Turns(rates=base)}
    (result,) = demo.judge([pair], taken)
    return result


def test_more_frames_a_second_are_a_ratio_above_one(peers):
    result = judged(peers["demo"], [24.0] * 12, [20.0] * 12)
    assert result.ratio == pytest.approx(1.2)
    assert result.verdict == "PASS"


def test_a_goal_is_failed_only_by_the_whole_interval(peers):
    demo = peers["demo"]
    assert judged(demo, [20.0, 20.1, 19.9] * 4, [20.0] * 12).verdict == "FAIL"
    assert (
        judged(demo, [14.0, 30.0, 28.0, 15.0, 31.0, 13.0, 16.0, 29.0] * 2, [20.0] * 16).verdict
        == "UNCLEAR"
    )
    assert judged(demo, [30.0, 30.0], [20.0, 20.0]).verdict == "UNCLEAR"


def test_frames_with_other_numbers_of_boxes_are_named(peers):
    # Red where only means were printed: 12.0 boxes a frame stood beside 9.1, and the status was 0.
    demo = peers["demo"]
    counts = {
        demo.DemoCase("edgekit", "onnxruntime", "640x640"): [3, 4, 5],
        demo.DemoCase("ultralytics", "onnxruntime", "640x640"): [3, 2, 5],
        demo.DemoCase("hand", "onnxruntime", "640x640"): [3, 4, 5],
        # Another graph, and one that answers nothing.
        demo.DemoCase("edgekit", "onnxruntime", "384x640"): [9, 9, 9],
        demo.DemoCase("bare", "onnxruntime", "640x640"): [0, 0, 0],
    }
    taken = {one: demo.Turns(boxes=boxes) for one, boxes in counts.items()}
    (sentence,) = demo.different_boxes(taken)
    assert f"frame {demo.SKIP + 1}:" in sentence
    assert "edgekit onnxruntime 640x640 4, ultralytics onnxruntime 640x640 2" in sentence


def test_the_table_of_rates_has_a_line_a_contestant(peers):
    demo = peers["demo"]
    ours = demo.DemoCase("edgekit", "default", "384x640")
    turns = demo.Turns("openvino:cpu bf16", [20.0] * 2, [1.5] * 2, [3, 5], [0.1] * 2)
    head, rule, line = demo.rates_table({ours: turns}).splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")
    assert "(openvino:cpu bf16) | 20.0 | 20.0 | 1.50 | 75.0 | 4.0 |" in line


def test_every_goal_of_the_pipeline_has_its_pair(peers):
    goals = [
        pair.goal
        for pairs in peers["demo"].groups("384x640").values()
        for pair in pairs
        if pair.goal
    ]
    assert sorted(set(goals)) == [0.75, 0.85, 0.98, 1.05, 1.4, 3.0]


def test_ours_takes_the_dynamic_graph_only_for_the_video_s_own_shape(peers):
    case = peers["demo"].DemoCase
    assert case("edgekit", "openvino", "640x640").model == "yolo11n-640x640.onnx@model"
    assert case("edgekit", "openvino", "384x640").model == "yolo11n-dynamic.onnx@stream"
    assert case("ultralytics", "pytorch", "384x640").model == "yolo11n.pt"
    assert case("hand", "openvino", "416x416").model.endswith("_model/*.xml")


@pytest.mark.parametrize(
    ("width", "height", "own"),
    [
        (1280, 720, (384, 640)),
        (768, 432, (384, 640)),
        (640, 480, (480, 640)),
        (720, 1280, (640, 384)),
    ],
)
def test_a_video_s_own_shape_is_the_least_that_holds_it(peers, width, height, own):
    assert peers["demo_models"].own_shape(width, height) == own


def test_the_hand_written_loop_reads_boxes_in_pixels_of_the_frame(peers):
    loop = peers["demo_hand_loop"]
    frame = np.zeros((360, 640, 3), np.uint8)
    blob, scale, left, top = loop.letterbox(frame, (320, 320))
    assert blob.shape == (1, 3, 320, 320)
    assert (scale, left, top) == (0.5, 0, 70)
    output = np.zeros((1, 6, 4), np.float32)
    # Two on one object, one of another class on it, one below the threshold.
    output[0, :4] = np.array(
        [[100, 120, 40, 20], [101, 120, 40, 20], [100, 120, 40, 20], [9, 9, 9, 9]]
    ).T
    output[0, 4:] = np.array([[0.9, 0], [0.8, 0], [0, 0.7], [0.1, 0.2]]).T
    found = loop.decode(output, scale, left, top)
    assert sorted(found[:, 5].tolist()) == [0, 1]
    np.testing.assert_allclose(found[0], [160, 80, 240, 120, 0.9, 0], rtol=1e-6)


def test_a_turn_counts_from_answer_to_answer_and_closes_what_it_began(peers):
    closed = []

    def play():
        try:
            while True:
                yield 3
        finally:
            closed.append(True)

    said = peers["demo_worker"].turn(play, 5, 2)
    assert said["boxes"] == [3] * 5
    assert said["frames"] == 5
    assert closed == [True]
    with pytest.raises(SystemExit, match="fewer than 7 frames"):
        peers["demo_worker"].turn(lambda: iter([1, 2]), 5, 2)


def test_a_contestant_that_ends_early_is_quoted(peers):
    demo = peers["demo"]
    command = [sys.executable, "-c", "import sys; sys.exit('no such engine')"]
    with pytest.raises(SystemExit, match="no such engine"), demo.worker(command) as process:
        demo.heard(process)


def test_what_a_library_prints_is_no_answer(root):
    worker = root / "tools/peers/demo_worker.py"
    program = (
        "import os, runpy, sys\n"
        "sys.argv = ['w', 'bare', 'm', 'v', '--first']\n"
        f"sys.path.insert(0, {str(worker.parent)!r})\n"
        "import demo_worker as w\n"
        "def loud(*_):\n"
        "    print('hello'); os.system('echo hello'); return lambda: iter([4]), {}\n"
        "w.KINDS['bare'] = loud\n"
        "sys.exit(w.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"boxes": 4}


def test_the_stand_in_is_of_the_torch_that_is_there(peers, tmp_path):
    assert peers["make_ultralytics_env"].stand_in(tmp_path, "2.13.0+cpu") == "0.28.0"
    info = tmp_path / "torchvision-0.28.0.dist-info" / "METADATA"
    assert "Version: 0.28.0\n" in info.read_text()


def test_growth_is_the_slope_of_the_memory_after_the_warm_up(peers):
    soak = peers["demo_soak"]
    phase = soak.Phase(30.0, inference_ms=10.0, picture_bytes=1_000_000)
    for second in range(100):
        phase.seconds.append(second + 1.0)
        phase.captured.append(30 * (second + 1))
        phase.answered.append(30 * (second + 1))
        # Two MB in 10,000 frames, after a warm-up that takes a lot; and a fourth picture.
        phase.alive.append(3 if second < 50 else 4)
        held = phase.alive[-1] * 1e6 - (40e6 if second < 20 else 0)
        phase.memory.append(int(50e6 + 200.0 * phase.captured[-1] + held))
        phase.ages.append(20.0 if second < 70 else 40.0)
    assert phase.growth_mb == pytest.approx(2.0, rel=1e-3)
    assert phase.ageing == pytest.approx(2.0)
    fine = [fine for _, _, fine in soak.verdicts(phase, keeps_up=True)]
    assert fine == [False, False, True]
    assert soak.table(phase).count("\n") == 3

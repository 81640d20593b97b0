"""What is wrong with a machine: one sentence each, with the command that mends it."""

from __future__ import annotations

import machines
import pytest
from test_cuda_libraries import library, package

from edgekit.core.documents import Environment, Gpu, NvidiaFacts
from edgekit.runtimes.cuda_libraries import Needs
from edgekit.runtimes.host_problems import host_problems
from edgekit.runtimes.jetson import jetson
from edgekit.runtimes.jetson_problems import jetson_problems
from edgekit.runtimes.nvidia import nvidia
from edgekit.runtimes.nvidia_problems import nvidia_problems
from edgekit.runtimes.problems import problems

FINE = Environment(
    identity={"architecture": "x86_64", "instruction_set": ["avx2", "avx512_vnni"]},
    observed={"memory_bytes": 16 << 30, "memory_limit_bytes": None},
    sha256="",
)
ORT = ("libcublasLt.so.13", "libcublas.so.13", "libcudart.so.13", "libcuda.so.1", "libcudnn.so.9")


def needs(engine="onnxruntime-gpu", distribution=None, version="1.31.1", libraries=ORT, cuda=13):
    return Needs(engine, distribution or engine, version, tuple(libraries), cuda)


def card(sm, index=0, name="A card", **more):
    return Gpu(index=index, name=name, sm=sm, driver="580.82.07", **more)


def cards(*gpus, driver="580.82.07", **more):
    return NvidiaFacts(driver=driver, gpus=gpus, **more)


def said(facts, *engines, on_jetson=False, environ=()):
    return nvidia_problems(facts, engines, on_jetson=on_jetson, environ=dict(environ))


def test_a_desktop_with_all_that_onnxruntime_needs_has_no_problem(tmp_path):
    run = machines.smi(machines.RTX_4090)
    facts = nvidia(machines.desktop(tmp_path), run, sites=(), environ={})
    assert said(facts, needs()) == []


def test_missing_libraries_are_named_in_one_sentence(tmp_path):
    root = machines.desktop(tmp_path)
    (root / "usr/lib/x86_64-linux-gnu/libcudnn.so.9").unlink()
    (root / "usr/local/cuda-13.0/lib64/libcublas.so.13").unlink()
    facts = nvidia(root, machines.smi(machines.RTX_4090), sites=(), environ={})
    (text,) = said(facts, needs())
    assert text == (
        "onnxruntime-gpu 1.31.1 needs libcublas.so.13 and libcudnn.so.9, which are not there. "
        "Run: pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"
    )


def test_libraries_of_another_cuda_do_not_count(tmp_path):
    machines.write(tmp_path, {"usr/lib/libcublas.so.12": ""})
    facts = nvidia(tmp_path, machines.nothing, sites=(), environ={})
    (text,) = said(facts, needs(libraries=("libcublas.so.13",)))
    assert "libcublas.so.13, which is not there" in text


def test_libraries_where_nothing_looks_are_named_with_their_folder(tmp_path):
    machines.write(tmp_path, {"usr/local/cuda-13.0/lib64/libcublas.so.13": ""})
    facts = nvidia(tmp_path, machines.nothing, sites=(), environ={})
    (text,) = said(facts, needs(libraries=("libcublas.so.13",)))
    assert text.endswith(
        f"Run: export LD_LIBRARY_PATH={tmp_path}/usr/local/cuda-13.0/lib64:$LD_LIBRARY_PATH"
    )


def test_the_drivers_library_is_missed_only_where_there_is_a_card():
    one = needs(libraries=("libcuda.so.1",))
    assert said(None, one) == []
    (text,) = said(cards(card(89)), one)
    assert "libcuda.so.1" in text
    assert "--gpus all" in text


def test_a_tensorrt_whose_library_package_is_a_stub():
    one = needs("tensorrt", "tensorrt-cu13", "11.4.0.106", ["libnvinfer.so.11"])
    (text,) = said(None, one)
    assert text == (
        "tensorrt-cu13 11.4.0.106 needs libnvinfer.so.11, which is not there. "
        "Run: pip install --extra-index-url https://pypi.nvidia.com tensorrt-cu13==11.4.0.106"
    )
    text = said(None, one, on_jetson=True)[0]
    assert text.endswith("Run: sudo apt install nvidia-jetpack")


def test_a_driver_that_is_too_old_names_the_release_that_it_is_new_enough_for():
    facts = cards(card(89), driver="550.54.14")
    (text,) = said(facts, needs(libraries=()))
    assert "driver 550.54.14 is too old for CUDA 13" in text
    assert "580 or newer" in text
    assert text.endswith("or run: pip install 'onnxruntime-gpu<1.27'")
    assert said(facts, needs(libraries=(), cuda=12)) == []
    # A Jetson's driver counts otherwise: 540 goes with its CUDA 12.6.
    assert said(facts, needs(libraries=()), on_jetson=True) == []


@pytest.mark.parametrize(
    ("engine", "version", "sm", "words"),
    [
        ("tensorrt-rtx", "1.7.1", 90, ("8.9, 12.0, 12.1", "pip install --upgrade")),
        ("tensorrt-rtx", "1.7.1", 87, ("7.5, 8.0", "pip install --upgrade")),
        ("tensorrt", "10.3.0", 120, ("7.0 to 9.0", "pip install --upgrade")),
        ("tensorrt", "11.4.0", 61, ("7.5 and newer", "onnxruntime:cuda")),
        ("tensorrt", "11.4.0", 70, ("7.5 and newer", "TensorRT 10.0")),
    ],
)
def test_a_card_that_a_tensorrt_does_not_know(engine, version, sm, words):
    (text,) = said(cards(card(sm, 1, "NVIDIA H100")), needs(engine, None, version, ()))
    assert f"GPU 1, NVIDIA H100, of compute capability {sm // 10}.{sm % 10}" in text
    assert all(word in text for word in words)


def test_a_card_that_a_tensorrt_knows_or_that_tells_nothing():
    for sm in (75, 89, 120, None):
        assert said(cards(card(sm)), needs("tensorrt-rtx", None, "1.7.1", ())) == []


def test_a_row_that_nobody_read_in_its_document_says_so():
    (text,) = said(cards(card(130)), needs("tensorrt", None, "10.14.1", ()))
    assert "(not verified)" in text


def test_tensorrt_11_is_not_made_for_jetson():
    (text,) = said(cards(card(87)), needs("tensorrt", None, "11.4.0", ()), on_jetson=True)
    assert text == "TensorRT 11.4.0 is not made for Jetson. Run: pip uninstall -y tensorrt"


def test_a_card_in_mig_mode_is_said_with_its_instances(tmp_path):
    run = machines.smi(machines.TWO_WITH_MIG, machines.LISTED_WITH_MIG)
    (text,) = said(nvidia(tmp_path, run, sites=(), environ={}))
    assert text.startswith("GPU 1, NVIDIA H100 80GB HBM3, is in MIG mode")
    assert "1g.10gb, 3g.40gb" in text
    assert text.endswith("sudo nvidia-smi -i 1 -mig 0")


def test_cards_of_two_kinds_are_counted_in_two_ways():
    facts = cards(card(89, 0, "NVIDIA RTX A"), card(86, 1, "NVIDIA RTX B"))
    assert said(facts)[0].endswith("Run: export CUDA_DEVICE_ORDER=PCI_BUS_ID")
    assert said(facts, environ={"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}.items()) == []
    assert said(cards(card(89, 0), card(89, 1))) == []


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        (NvidiaFacts(error="Failed to initialize NVML: Driver/library version mismatch"), "reboot"),
        (NvidiaFacts(error="NVIDIA-SMI has failed."), "sudo modprobe nvidia"),
        (NvidiaFacts(on_bus=1), "sudo ubuntu-drivers install"),
    ],
)
def test_a_driver_that_does_not_work(facts, command):
    (text,) = said(facts)
    assert command in text


def test_an_orin_as_it_is_delivered(tmp_path):
    root = machines.orin(tmp_path)
    facts = nvidia(root, machines.nothing, sites=(), environ={})
    power, clocks, memory, tensorrt = jetson_problems(jetson(root), facts, ())
    assert power.endswith("Run: sudo nvpmodel -m 2")
    assert "power mode 25W" in power
    assert clocks.endswith("sudo jetson_clocks")
    assert "1.8 GiB of memory and 0.0 GiB of swap are free" in memory
    assert "--system-site-packages" in tensorrt


def test_a_thor_at_its_best_misses_its_tensorrt_only(tmp_path):
    board = jetson(machines.thor(tmp_path))
    (text,) = jetson_problems(board, None, ())
    assert text.endswith("sudo apt install nvidia-jetpack")
    seen = needs("tensorrt", None, "10.13.3", ())
    assert jetson_problems(board, None, [seen]) == []


def test_a_tensorrt_for_another_python_is_named(tmp_path, monkeypatch):
    root = machines.orin(tmp_path)
    facts = nvidia(root, machines.nothing, sites=(), environ={})
    for here, words in (((3, 10), "does not see it"), ((3, 12), "python3.10 -m venv")):
        version = type("Version", (), {"major": here[0], "minor": here[1]})
        monkeypatch.setattr("sys.version_info", version)
        text = jetson_problems(jetson(root), facts, ())[-1]
        monkeypatch.undo()
        assert words in text


def test_a_jetpack_that_is_too_old_is_named(tmp_path):
    machines.write(
        machines.thor(tmp_path), {"etc/nv_tegra_release": "# R35 (release), REVISION: 4.1"}
    )
    (text,) = jetson_problems(jetson(tmp_path), None, ())
    assert "JetPack 5 (L4T 35.4.1)" in text
    assert "Flash JetPack 6" in text


def host(architecture="x86_64", flags=("avx2", "avx_vnni"), **observed):
    return host_problems(
        Environment(
            identity={"architecture": architecture, "instruction_set": list(flags)},
            observed=observed,
            sha256="",
        )
    )


def test_what_a_cpu_lacks_is_said():
    assert host() == []
    assert host("aarch64", ("asimd", "asimddp")) == []
    # Other systems than Linux do not tell; that is no problem of the CPU.
    assert host(flags=()) == []
    assert len(host(flags=("avx",))) == 2
    (text,) = host(flags=("avx2", "avx512f"))
    assert "VNNI" in text
    (text,) = host("aarch64", ("asimd",))
    assert "asimddp" in text


def test_a_container_that_may_use_less_than_the_machine_has():
    (text,) = host(memory_bytes=64 << 30, memory_limit_bytes=2 << 30)
    assert "2.0 GiB of the machine's 64.0 GiB" in text
    assert host(memory_bytes=64 << 30, memory_limit_bytes=64 << 30) == []
    assert host(memory_bytes=64 << 30, memory_limit_bytes=None) == []


def test_both_packages_of_onnx_runtime_and_all_else_in_one_list(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    package(site, "onnxruntime", "1.31.1", {})
    asked = library("libcublas.so.13", "libcudart.so.13")
    file = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
    package(site, "onnxruntime-gpu", "1.10.0", {file: asked})
    monkeypatch.setattr("sys.path", [str(site)])
    card = NvidiaFacts(on_bus=1)
    assert problems(FINE, None, None)[0].endswith("&& pip install onnxruntime")
    first, second, *rest = problems(FINE, card, None)
    assert first.endswith(
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
    )
    assert "1.10.0 is older than 1.18" in second
    assert any("libcublas.so.13 and libcudart.so.13, which are not there" in one for one in rest)


def test_every_problem_ends_with_what_to_do(tmp_path):
    root = machines.orin(tmp_path)
    facts = nvidia(root, machines.nothing, sites=(), environ={})
    for text in jetson_problems(jetson(root), facts, ()):
        assert "Run" in text

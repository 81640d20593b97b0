"""Whatever lies in the current folder, no command runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

NAMES = (
    "traceback", "json", "numpy", "torch", "onnxruntime", "openvino", "onnx", "typing", "pickle",
    "click", "msgspec", "dataclasses", "inspect", "tempfile", "nncf", "sitecustomize",
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    from edgekit import api

    folder = tmp_path_factory.mktemp("made") / "digits.bundle"
    api.deploy("edgekit:digits", folder, targets=["onnxruntime:cpu"], precision=["fp32"], time=0.05)
    return folder


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    for name in NAMES:
        marker = tmp_path / f"{name}.ran"
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')\nraise OSError\n")
    # An entry point of a distribution would be loaded by name.
    metadata = folder / "evil-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[edgekit.runtimes]\nevil = traceback:x\n")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "BUNDLE"),
        ("compile", "BUNDLE@fp32", "--target", "onnxruntime:cpu", "-o", "engines"),
        ("export", "edgekit:digits", "-o", "digits.onnx"),
        ("deploy", "edgekit:digits", "--target", "onnxruntime:cpu", "--precision", "fp32",
         "--opset", "18", "--time", "0.05", "-o", "again.bundle"),
        ("doctor",),
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_no_module_of_the_current_folder_runs(here, bundle, tmp_path, arguments):
    """Children were started with `-m`, which searches the current folder first."""
    words = [one.replace("BUNDLE", str(bundle)) for one in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *words], cwd=here, capture_output=True, text=True
    )
    assert [one.name for one in tmp_path.glob("*.ran")] == []
    assert done.returncode == 0, done.stderr

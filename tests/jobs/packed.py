"""Running what `edgekit pack` wrote, as a device would: with no edgekit to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgekit.core.card import card_from_dict
from edgekit.jobs.model.bundle import read_manifest
from edgekit.jobs.steps.engine import open_engines
from edgekit.tasks.images import read_image
from edgekit.tasks.registry import task_for

# What a device does not have; None in sys.modules makes the import fail.
ABSENT = ("edgekit", "torch", "onnx", "scipy", "sklearn", "yaml", "psutil", "msgspec")

_RUN = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT}))
script, sys.argv = sys.argv[1], sys.argv[1:]
sys.path[0] = script.rpartition("/")[0]
runpy.run_path(script, run_name="__main__")
"""

_ANSWER = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT}))
sys.path[0], image, output = sys.argv[1:]
import guard, run, numpy
answer = run.predict(run.load(), guard.read_image(image))
answer = answer if isinstance(answer, tuple) else (answer,)
numpy.savez(output, *answer)
"""


def run_script(folder: Path, *arguments, python=sys.executable, cwd=None, isolated=True):
    """Run run.py; `isolated` hides edgekit from an environment that has it."""
    script = str(folder / "run.py")
    begin = ["-c", _RUN, script] if isolated else [script]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(python), *begin, *(str(one) for one in arguments)],
        capture_output=True,
        text=True,
        cwd=cwd or folder.parent,
        env=clean,
    )


def script_answer(folder: Path, image: Path, output: Path) -> list[np.ndarray]:
    """What run.py's `predict` returns, computed in a process without edgekit."""
    ended = subprocess.run(
        [sys.executable, "-c", _ANSWER, str(folder), str(image), str(output)],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    with np.load(output) as content:
        return [content[key] for key in content.files]


def own_answer(bundle: Path, document, image: Path):
    """What edgekit itself answers with the very engine that was packed."""
    manifest = read_manifest(bundle)
    (engine,) = (
        one
        for one in manifest.engines
        if (one.target, one.variant, one.compute)
        == (document.target, document.variant, document.compute)
    )
    card = card_from_dict(manifest.card, "the bundle")
    task = task_for(card, folder=bundle, trust_code=True)
    sessions = open_engines({"main": bundle / engine.folder})
    with sessions["main"] as session:
        pixels, fit = task.preprocess(read_image(image))
        return task.postprocess(session.run({session.inputs[0].name: pixels}), fit)

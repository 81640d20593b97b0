"""The text of guard.py, which lies beside every run.py and is the same for all of them.

It is written for any Python from 3.6 on, so that an old one gets a sentence and no SyntaxError.
"""

from __future__ import annotations

__all__ = ["GUARD"]

GUARD = '''\
"""One sentence instead of a traceback where this machine lacks something; the golden check."""

import hashlib
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def stop(status, sentence):
    """End with a sentence: 1 a check failed, 2 bad input, 3 not available on this machine."""
    print(sentence, file=sys.stderr)
    sys.exit(status)


def read(name):
    try:
        return json.loads((HERE / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(2, f"{HERE / name} cannot be read: {error}. Copy the packed folder again.")


PACK = read("pack.json")
CARD = read("card.json")

if sys.version_info < tuple(int(part) for part in PACK["python"].split(".")):
    stop(3, f"Python {PACK['python']} or later is needed, and this is {platform.python_version()}.")
for name in PACK["files"]:
    if not (HERE / name).is_file():
        stop(2, f"{name} is missing from {HERE}. Copy the packed folder again.")
for module, requirement in PACK["requirements"].items():
    if importlib.util.find_spec(module) is None:
        stop(3, f"{requirement} is not installed. Run: pip install -r {HERE / 'requirements.txt'}")


def instruction_set():
    """The extensions of this CPU that engines choose their kernels by."""
    try:
        first = Path("/proc/cpuinfo").read_text(errors="replace").split("\\n\\n")[0].lower()
    except OSError:
        first = ""
    lines = [line.partition(":") for line in first.splitlines()]
    flags = [value for key, _, value in lines if key.strip() in ("flags", "features")]
    here = " ".join(flags).split()
    return " ".join(name for name in PACK["extensions"] if name in here) or platform.machine()


def engine(role, version):
    """Return the file to open, and whether it is the engine or the graph that it was made from."""
    graph, here, why = PACK["graphs"][role], instruction_set(), ""
    if version != PACK["version"]:
        why = f"was compiled by version {PACK['version']} and {version} is installed"
    elif here != PACK["instruction_set"]:
        why = f"was compiled for {PACK['instruction_set']} and this CPU has {here}"
    if why:
        print(f"The engine {why}: using the portable graph {graph['graph']}.", file=sys.stderr)
    return str(HERE / graph["graph" if why else "engine"]), not why


def golden(file):
    """Yield the steps of every case: inputs of the first, and the reference's outputs of each."""
    cases = {}
    for key in file.files:  # CASE/in/NAME and CASE/out/STEP/NAME
        case, kind, name = key.split("/", 2)
        feeds, steps = cases.setdefault(int(case), ({}, {}))
        if kind == "in":
            feeds[name] = file[key]
        else:
            step, name = name.split("/", 1)
            steps.setdefault(int(step), {})[name] = file[key]
    for _, (feeds, steps) in sorted(cases.items()):
        yield feeds, [steps[step] for step in sorted(steps)]


def check(load):
    """Check every file's sha256, then the golden inputs against the reference's outputs."""
    import numpy as np

    for name, sealed in PACK["files"].items():
        # run.py is there to be edited; what it answers is looked at below.
        digest = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        if name != "run.py" and digest != sealed["sha256"]:
            stop(1, f"FAIL  {name} was changed: its sha256 differs. Copy the packed folder again.")
    reached, limit = 300.0, PACK["sqnr_limit_db"]
    for role, graph in PACK["graphs"].items():
        run, calls = load(role), {}
        for feeds, steps in golden(np.load(HERE / graph["golden"], allow_pickle=False)):
            for step in steps:
                outputs = run(feeds)
                for name, truth in step.items():
                    found = outputs[name]
                    if found.shape != truth.shape:
                        stop(1, f"FAIL  {name} has the shape {found.shape}, not {truth.shape}.")
                    if not ((found == truth) | np.isfinite(found)).all():
                        stop(1, f"FAIL  {name} holds values that are not finite.")
                    calls.setdefault(name, []).append((truth, found))
                for output, name in graph["state"].items():
                    feeds[name] = outputs[output]
        calls = matched(calls, graph["rows"])
        reached = min([reached, *(decibels(comparable(pairs)) for pairs in calls.values())])
    said = f"{reached:.1f} dB against the reference on the golden inputs, limit {limit:.1f} dB."
    if reached < limit:
        stop(1, f"FAIL  {said}")
    print(f"PASS  {said}")


def matched(calls, names):
    """Put rows that a top-k chose row against row, as for the certificate."""
    if not names:
        return calls
    from rows import match_rows

    truths, founds = (
        [dict(zip(names, call)) for call in zip(*([pair[k] for pair in calls[n]] for n in names))]
        for k in (0, 1)
    )
    truths, founds, _ = match_rows(truths, founds, names)
    pairs = {name: [(t[name], f[name]) for t, f in zip(truths, founds)] for name in names}
    return {**calls, **pairs}


def comparable(pairs):
    """Put lists of final detections row against row, as for the certificate; nothing else."""
    import numpy as np

    lists = all(one.ndim == 3 and one.shape[2] == 6 and np.isfinite(one).all() for one, _ in pairs)
    if "alignment.py" not in PACK["files"] or not lists:
        return pairs
    from alignment import align

    confidence, size = CARD["postprocess"]["confidence"], CARD["preprocess"]["size"]
    return [align([picture for pair in pairs for picture in zip(*pair)], confidence, max(size))]


def decibels(pairs):
    """Signal to noise of one output over all calls: of the reference, and of the difference."""
    import numpy as np

    signal = noise = 0.0
    for truth, found in pairs:
        truth, found = truth.astype(np.float64), found.astype(np.float64)
        both = np.isfinite(truth) & np.isfinite(found)
        signal += float((truth[both] ** 2).sum())
        noise += float(((truth - found)[both] ** 2).sum())
    return 10 * float(np.log10(max(signal / noise if noise else 1e30, 1e-30)))


def read_image(path):
    """Return a picture as (H, W, 3) uint8, BGR."""
    import cv2

    image = cv2.imread(path) if Path(path).is_file() else None
    if image is None:
        stop(2, f"{path} is not an image that OpenCV can read.")
    return image


def new_name(path, suffix):
    """Return a name in the current folder, made of the input's, that nothing has yet."""
    name, count = Path(path).stem + suffix, 1
    while os.path.lexists(name):
        count += 1
        name = f"{Path(path).stem}-{count}{suffix}"
    return name


def main(usage, load, show):
    """The command line: --check, or what to run."""
    if sys.argv[1:] == ["--check"]:
        check(load)
    elif not sys.argv[1:] or sys.argv[1].startswith("-") or show is None:
        stop(2, usage.strip())
    else:
        run = load()
        for path in sys.argv[1:]:
            show(run, path)
'''

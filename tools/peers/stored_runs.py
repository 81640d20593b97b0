"""How often `compare` raises a false alarm: one model's stored runs, every one against every other.

    python tools/peers/stored_runs.py take MODEL TARGET RUNS SECONDS FOLDER
    python tools/peers/stored_runs.py count FOLDER...

The runs are those of `edgekit bench --time SECONDS`, each in a process of its own. All runs in one
FOLDER are of one model on one target, so every FASTER or SLOWER between two of them is false.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from edgekit import api

_DRIFTS = (0.01, 0.03, 0.1, 0.2, 0.6)


def take(model: str, target: str, runs: int, seconds: float, folder: Path) -> None:
    """Add runs to a folder."""
    have = sum(1 for _ in folder.glob("*")) if folder.exists() else 0
    for number in range(have, have + runs):
        api.bench(
            model, targets=[target], time=seconds, store=False, output=folder / f"{number:03d}"
        )


def count(folders: list[Path]) -> None:
    """Print the table."""
    print("| model | runs (valid) | pairs | farthest | drift | FASTER | SLOWER | SAME | UNCLEAR |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for folder in folders:
        runs = sorted(path for path in folder.iterdir() if path.is_dir())
        for drift in _DRIFTS:
            verdicts: Counter[str] = Counter()
            apart = [0.0]
            valid = set()
            for base, new in itertools.permutations(runs, 2):
                entry = api.compare(str(base), str(new), drift=drift).entries[0]
                if entry.ratio_low is None or entry.ratio is None:
                    verdicts["INVALID"] += 1
                    continue
                valid |= {base, new}
                verdicts[entry.verdict] += 1
                apart.append(abs(math.log(entry.ratio)))
            pairs = sum(verdicts.values()) - verdicts["INVALID"]
            shares = " | ".join(
                f"{verdicts[word] / max(1, pairs):.1%}"
                for word in ("FASTER", "SLOWER", "SAME", "UNCLEAR")
            )
            print(
                f"| {folder.name} | {len(runs)} ({len(valid)}) | {pairs} "
                f"| {np.exp(max(apart)):.3f} | {drift:.0%} | {shares} |"
            )


if __name__ == "__main__":
    if sys.argv[1] == "take":
        take(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), Path(sys.argv[6]))
    else:
        count([Path(text) for text in sys.argv[2:]])

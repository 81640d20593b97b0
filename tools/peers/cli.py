"""What the command line costs before it does anything, against a bare interpreter.

    python tools/peers/cli.py [--rounds N]

`python -c pass` and edgekit's cheapest commands take turns, every second round mirrored. The status
is 1 where the median of `edgekit --help` is 0.2 s or more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.benchmarks.interleave import mirrored_rounds
from edgekit.benchmarks.ratio import ratios
from edgekit.benchmarks.statistics import percentile

LIMIT_S = 0.2
EDGEKIT = str(Path(sys.executable).with_name("edgekit"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "edgekit --version": [EDGEKIT, "--version"],
    "edgekit --help": [EDGEKIT, "--help"],
    "edgekit bench --help": [EDGEKIT, "bench", "--help"],
    "edgekit doctor": [EDGEKIT, "doctor", "--quiet"],
}


def seconds(command: Sequence[str]) -> float:
    """Time of one process from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and say whether the limit was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args(arguments)
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        seconds(command)
    order = mirrored_rounds(list(COMMANDS))
    for _ in range(given.rounds):
        for name in next(order):
            taken[name].append(seconds(COMMANDS[name]))
    bare = taken["python -c pass"]
    print("| command | median ms | ratio to a bare interpreter | 95 % interval |")
    print("| --- | --- | --- | --- |")
    for name, values in taken.items():
        found = ratios(*([[1e9 * one] for one in side] for side in (values, bare)), 0.95).typical
        middle = percentile(values, 50)
        if found is None or middle is None:
            print(f"| `{name}` | too few rounds | – | – |")
            continue
        ends = f"{found.low:.2f}–{found.high:.2f}" if found.low and found.high else "–"
        print(f"| `{name}` | {1000 * middle:.0f} | {found.ratio:.2f} | {ends} |")
    return int(float(np.median(taken["edgekit --help"])) >= LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())

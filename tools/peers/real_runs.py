"""Run `bench --against` for real, many times, and write every verdict down.

    python tools/peers/real_runs.py NEW BASE TARGET RUNS SECONDS OUT.jsonl

NEW and BASE the same: every FASTER or SLOWER is a false alarm.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from edgekit import api


def main(new: str, base: str, target: str, runs: int, seconds: float, out: Path) -> None:
    """Append a line a run."""
    for _ in range(runs):
        began = time.perf_counter()
        entry = api.bench_against(new, base, targets=[target], time=seconds).entries[0]
        line = {
            "new": Path(new).name,
            "base": Path(base).name,
            "target": target,
            "verdict": entry.verdict,
            "ratio": entry.ratio,
            "low": entry.ratio_low,
            "high": entry.ratio_high,
            "mean_ratio": entry.mean_ratio,
            "mean_low": entry.mean_ratio_low,
            "mean_high": entry.mean_ratio_high,
            "rounds": entry.blocks,
            "sampled_s": entry.seconds,
            "wall_s": time.perf_counter() - began,
            "stopped_by": entry.stopped_by,
        }
        with open(out, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(
        sys.argv[1],
        sys.argv[2],
        sys.argv[3],
        int(sys.argv[4]),
        float(sys.argv[5]),
        Path(sys.argv[6]),
    )

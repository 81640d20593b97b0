"""Record this machine's noise: a model against itself, by the tool's own procedure, for minutes.

    python benchmarks/peers/record_noise.py MODEL TARGET SECONDS OUT.npz

The child, the order of blocks, the openings and the re-warm-ups are those of `bench --against`;
only the end is not: it goes on for SECONDS of sampling. What it writes (timings and nothing else)
is what error_rates.py replays:

    rounds       (r,) int32: quads of each round, all in one opening of both
    quad_ns      (q,) int64: sampled time of each quad
    medians_ns   (q, 4) int32: median of each block: new, base, base, new
    samples_ns   (n,) int32: raw samples in the order of the blocks; only above 0.5 ms
    blocks       (q, 4) int32: samples of each block
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.benchmarks.ratio import RatioRule
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.running.duel import Duellist, DuelWorker
from edgekit.jobs.running.engines import compile_graphs, opener, usable
from edgekit.jobs.running.feeds import generated_feeds
from edgekit.jobs.running.models import resolve_model

# Faster models give more raw samples than a repository should hold; their blocks' medians are what
# the procedure looks at.
_RAW_FROM_NS = 500_000


def main(model: str, target_text: str, seconds: float, out: Path) -> None:
    """Record one model on one target."""
    target, probe = usable(target_text)
    resolved = resolve_model(model, probe=probe)
    engines = compile_graphs(
        resolved.variant.paths, target, probe, CompileOptions(), progress=Silent()
    )
    feeds = {role: several[0] for role, several in generated_feeds(resolved.card, 0, 1).items()}
    duellist = Duellist(opener(engines), feeds)
    worker = DuelWorker(duellist, duellist, RatioRule(half_width=1e-9))
    worker.warm()
    rounds: list[int] = []
    while worker.duel.seconds < seconds:
        before = worker.duel.quads
        worker.round()
        rounds.append(worker.duel.quads - before)
    found = worker.duel.summary()
    parts = {}
    for name, side in (("new", found.new), ("base", found.base)):
        ends = np.cumsum(side.blocks)
        parts[name] = np.split(np.array(side.samples_ns, np.int32), ends[:-1])
    quads = [
        (
            parts["new"][2 * q],
            parts["base"][2 * q],
            parts["base"][2 * q + 1],
            parts["new"][2 * q + 1],
        )
        for q in range(found.quads)
    ]
    arrays: dict[str, Any] = {
        "rounds": np.array(rounds, np.int32),
        "quad_ns": np.array([sum(int(b.sum()) for b in quad) for quad in quads], np.int64),
        "medians_ns": np.array([[np.median(b) for b in quad] for quad in quads])
        .round()
        .astype(np.int32),
        "blocks": np.array([[b.size for b in quad] for quad in quads], np.int32),
    }
    if np.median(arrays["medians_ns"]) >= _RAW_FROM_NS:
        arrays["samples_ns"] = np.concatenate([b for quad in quads for b in quad])
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **arrays)
    print(f"{out}: {found.quads} quads in {len(rounds)} rounds, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))

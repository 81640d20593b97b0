"""Record this machine's noise by the tool's own procedure: two systems taking turns, for minutes.

    python tools/peers/record_noise.py MODEL TARGET SECONDS OUT.npz
        [--against-target TARGET] [--bursts PROCESSES]

Without --against-target a model is held against itself; with it, one model on two engines. The
child, the order of blocks, the openings and the re-warm-ups are those of `bench --against`; only
the end is not: it goes on for SECONDS of sampling. --bursts starts processes that each use a core
for some tenths of a second, rest for about as long, and begin again. What it writes (timings and
nothing else) is what error_rates.py replays:

    rounds       (r,) int32: quads of each round, all in one opening of both
    blocks       (q, 4) int32: samples of each block of a quad: new, base, base, new; they were
                 taken in this order, and those of every second quad as base, new, new, base
    samples_ns   (n,) int64: samples in the order of the blocks, sorted within each, three digits
                 that count, which leaves little to store
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.duel import DuelSide
from edgekit.benchmarks.ratio import RatioRule
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.jobs.model.resolve import resolve_model
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.pair import Duellist, DuelWorker
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs, opener

# Of a burst and of the rest after it, each drawn from an exponential distribution.
_BURST_S, _REST_S = 0.4, 0.6


def main() -> None:
    """Record one series."""
    parser = argparse.ArgumentParser(description="Record the noise of two that take turns.")
    parser.add_argument("model")
    parser.add_argument("target")
    parser.add_argument("seconds", type=float)
    parser.add_argument("out", type=Path)
    parser.add_argument("--against-target")
    parser.add_argument("--bursts", type=int, default=0, metavar="PROCESSES")
    given = parser.parse_args()
    new = _duellist(given.model, given.target)
    base = _duellist(given.model, given.against_target) if given.against_target else new
    worker = DuelWorker(base, new, RatioRule(seconds=given.seconds, half_width=1e-9))
    worker.warm()
    rounds: list[int] = []
    with _bursts(given.bursts):
        while worker.duel.seconds < given.seconds:
            before = worker.duel.quads
            worker.round()
            rounds.append(worker.duel.quads - before)
    found = worker.duel.summary()
    news, bases = _blocks(found.new), _blocks(found.base)
    quads = [
        (news[2 * q], bases[2 * q], bases[2 * q + 1], news[2 * q + 1]) for q in range(found.quads)
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        given.out,
        rounds=np.array(rounds, np.int32),
        blocks=np.array([[block.size for block in quad] for quad in quads], np.int32),
        samples_ns=np.concatenate([block for quad in quads for block in quad]),
    )
    size = given.out.stat().st_size
    print(f"{given.out}: {found.quads} quads in {len(rounds)} rounds, {size:,} bytes")


def _duellist(model: str, target_text: str) -> Duellist:
    target, probe = usable(target_text)
    resolved = resolve_model(model, probe=probe)
    engines = compile_graphs(
        resolved.variant.paths, target, probe, CompileOptions(), progress=Silent()
    )
    feeds = {role: several[0] for role, several in generated_feeds(resolved.card, 0, 1).items()}
    return Duellist(opener(engines), feeds)


def _blocks(side: DuelSide) -> list[npt.NDArray[np.int64]]:
    values = np.array(side.samples_ns, np.int64)
    digit = 10 ** np.maximum(0, np.floor(np.log10(np.maximum(values, 1))).astype(np.int64) - 2)
    rounded = (values + digit // 2) // digit * digit
    ends = np.cumsum(side.blocks)
    return [np.sort(block) for block in np.split(rounded, ends[:-1])]


@contextmanager
def _bursts(processes: int) -> Iterator[None]:
    """Let others use the CPU now and then."""
    spawning = multiprocessing.get_context("spawn")
    others = [spawning.Process(target=_burst, args=(seed,)) for seed in range(processes)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.terminate()
            other.join()


def _burst(seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        until = time.monotonic() + rng.exponential(_BURST_S)
        while time.monotonic() < until:
            pass
        time.sleep(rng.exponential(_REST_S))


if __name__ == "__main__":
    main()

"""Error rates of A against B, from the noise that was recorded on a real machine.

    python benchmarks/peers/error_rates.py [--windows N]

Replays the tool's own procedure (edgekit.benchmarks.ratio: the same quads, rounds, interval and
end) from random starts in the series of benchmarks/noise. One side, drawn by lot, is multiplied
by the true ratio. The rule was chosen on the series called tuning; those called holdout were
recorded afterwards, and so were those called overloaded, while test suites filled both cores
beside them.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.ratio import RatioCourse, RatioRule, judge, quad_log_ratio

NOISE = Path(__file__).parent.parent / "noise"


@dataclass(frozen=True)
class Outcome:
    """Of one replayed measurement."""

    verdict: str
    rounds: int
    seconds: float


class Series:
    """A recorded series: its rounds, each some quads of four blocks."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.name = path.stem
            quad_ns, sizes = file["quad_ns"], file["blocks"]
            if "samples_ns" in file:
                ends = np.cumsum(sizes.ravel())
                blocks = np.split(file["samples_ns"], ends[:-1])
            else:
                blocks = [block.reshape(1) for block in file["medians_ns"].ravel()]
            first = np.concatenate([[0], np.cumsum(file["rounds"])])
        # The medians of the blocks, from which the ratio of a quad is made, are taken once.
        medians = np.array([np.median(block) for block in blocks]).reshape(-1, 4)
        self.rounds = [
            (medians[a:b], float(quad_ns[a:b].sum()) / 1e9) for a, b in itertools.pairwise(first)
        ]

    def replay(self, rng: np.random.Generator, true: float, rule: RatioRule) -> Outcome:
        """Measure once, from a random round on, round the end of the series."""
        course = RatioCourse(rule)
        swapped = bool(rng.integers(2))
        at = int(rng.integers(len(self.rounds)))
        while not course.stopped_by:
            quads, seconds = self.rounds[at % len(self.rounds)]
            course.add([self._ratio(quad, true, swapped) for quad in quads], seconds)
            at += 1
        found = course.interval()
        low, high = (None, None) if found is None else (found.low, found.high)
        return Outcome(judge(low, high, rule.margin), course.rounds, course.seconds)

    @staticmethod
    def _ratio(quad: npt.NDArray[np.float64], true: float, swapped: bool) -> float:
        a, b, c, d = ([float(median)] for median in quad)
        if swapped:
            a, b, c, d = b, a, d, c
        return quad_log_ratio([a[0] * true], b, c, [d[0] * true])


def series(half: str) -> Iterator[Series]:
    """The recorded series of one kind: "tuning", "holdout", "overloaded"."""
    for path in sorted(NOISE.glob(f"*-{half}.npz")):
        yield Series(path)


def rates(one: Series, true: float, windows: int, rule: RatioRule, seed: int = 0) -> list[Outcome]:
    """Replay many measurements."""
    rng = np.random.default_rng(seed)
    return [one.replay(rng, true, rule) for _ in range(windows)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Error rates of A against B.")
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120.0, help="both added up, at most")
    given = parser.parse_args()
    rule = RatioRule(seconds=given.seconds)
    print("| series | true ratio | FASTER | SLOWER | SAME | UNCLEAR | rounds | seconds (p90) |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for half in ("tuning", "holdout", "overloaded"):
        total: dict[float, list[Outcome]] = {}
        for one in series(half):
            for true in (1.0, 1.05):
                found = rates(one, true, given.windows, rule)
                total.setdefault(true, []).extend(found)
                print(_row(one.name, true, found))
        for true, found in total.items():
            print(_row(f"**all of {half}**", true, found))


def _row(name: str, true: float, found: list[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in found)
    shares = " | ".join(
        f"{counts[word] / len(found):.1%}" for word in ("FASTER", "SLOWER", "SAME", "UNCLEAR")
    )
    rounds = np.median([outcome.rounds for outcome in found])
    seconds = np.percentile([outcome.seconds for outcome in found], [50, 90])
    return (
        f"| {name} | {true:.2f} | {shares} | {rounds:.0f} | {seconds[0]:.1f} ({seconds[1]:.1f}) |"
    )


if __name__ == "__main__":
    main()

"""Error rates of A against B, from the noise that was recorded on a real machine.

    python tools/peers/error_rates.py [--windows N] [--seconds S]

Replays the tool's own procedure (edgekit.benchmarks.ratio: the same rounds, ratios, intervals, end
and verdict) with the series of benchmarks/noise; which of the two is the new one is drawn by lot,
and its times are multiplied so that the true typical ratio is 1.00 or 1.05.

Of one model against itself the truth of both ratios is that factor, and a replay takes the rounds
in order from a random one on. Of two engines the truth is that of the whole series, whose mean need
not have the ratio of its median; so that it is the truth of a replay too, that takes runs of ten
rounds from random places. False is FASTER or SLOWER where
either true ratio is 1 or on the other side, and SAME where either is outside the margin. The last
columns say how often each interval missed its truth, which 1 % may.

INVALID is what the samples themselves make so (their level was not stable); a recording does not
know what else the tool looks at, so the verdicts are counted as if all were valid.

The rule was chosen on the series called tuning. Those called holdout were recorded afterwards;
those called busy and overloaded while test suites filled both cores beside them; bursty beside
processes that use a core for some tenths of a second again and again, and so were those called
blind, of two engines, after the rule was final. In series older than the
turning order of blocks, of one model against itself, every second quad has its roles exchanged.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.ratio import RatioCourse, RatioInterval, RatioRule, judge_both
from edgekit.benchmarks.stability import unstable_stretches
from edgekit.benchmarks.statistics import percentile
from edgekit.benchmarks.summary import unstable_level

NOISE = Path(__file__).resolve().parents[2] / "benchmarks" / "noise"
# Rounds of two engines in a row.
_RUN = 10
KINDS = ("tuning", "holdout", "busy", "overloaded", "bursty", "blind")


@dataclass(frozen=True)
class Outcome:
    """Of one replayed measurement.

    Attributes:
        verdict: As the tool gives it.
        false: Whether it is not so.
        valid: Whether the samples' level was stable.
        missed: Whether the interval of the typical ratio, and of the mean's, misses the truth.
        truth: The true ratios, typical and mean.
        rounds: That it took.
        seconds: Of sampling.
    """

    verdict: str
    false: bool
    valid: bool
    missed: tuple[bool, bool]
    truth: tuple[float, float]
    rounds: int
    seconds: float


class RecordedSeries:
    """A recorded series: the samples of its rounds, and their time.

    A "+" in its name stands between two engines.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.name = path.stem
            self._two = "+" in path.stem
            sizes, samples = file["blocks"], file["samples_ns"].astype(np.float64)
            first = np.concatenate([[0], np.cumsum(file["rounds"])])
        blocks = np.split(samples, np.cumsum(sizes.ravel())[:-1])
        quads = [blocks[at : at + 4] for at in range(0, len(blocks), 4)]
        self.rounds = [
            (
                np.concatenate([part for quad in quads[a:b] for part in (quad[0], quad[3])]),
                np.concatenate([part for quad in quads[a:b] for part in (quad[1], quad[2])]),
            )
            for a, b in itertools.pairwise(first)
        ]
        self.seconds = sum(float(new.sum() + base.sum()) for new, base in self.rounds) / 1e9
        self._whole = [np.concatenate(several) for several in zip(*self.rounds, strict=True)]

    def replay(self, rng: np.random.Generator, true: float, rule: RatioRule) -> Outcome:
        """Measure once."""
        course = RatioCourse(rule)
        turn = 1 if rng.integers(2) else -1
        factor, truth = self._scaled(true, turn)
        at, sides = 0, ([], [])
        while not course.stopped_by:
            if not course.rounds or (self._two and course.rounds % _RUN == 0):
                at = int(rng.integers(len(self.rounds)))
            new, base = self.rounds[at % len(self.rounds)][::turn]
            course.add(new * factor, base, float(new.sum() + base.sum()) / 1e9)
            sides[0].append(new)
            sides[1].append(base)
            at += 1
        found = course.ratios()
        assert found is not None
        verdict = judge_both(found.typical, found.mean, rule.margin).verdict
        return Outcome(
            verdict,
            is_false(verdict, truth, rule.margin),
            not any(_unstable(np.concatenate(side)) for side in sides),
            (_misses(found.typical, truth[0]), _misses(found.mean, truth[1])),
            truth,
            course.rounds,
            course.seconds,
        )

    def _scaled(self, true: float, turn: int) -> tuple[float, tuple[float, float]]:
        """The factor on the new one's times, and the true ratios then."""
        if not self._two:
            return true, (true, true)
        new, base = self._whole[::turn]
        typical = float(_median(new) / _median(base))
        return true / typical, (true, float(new.mean() / base.mean()) * true / typical)


def series(kind: str) -> Iterator[RecordedSeries]:
    """The recorded series of one of KINDS."""
    for path in sorted(NOISE.glob(f"*-{kind}.npz")):
        yield RecordedSeries(path)


def rates(
    one: RecordedSeries, true: float, windows: int, rule: RatioRule, seed: int = 0
) -> list[Outcome]:
    """Replay many measurements, none longer than the series: it would see its rounds twice."""
    rng = np.random.default_rng(seed)
    rule = msgspec.structs.replace(rule, seconds=min(rule.seconds, one.seconds))
    return [one.replay(rng, true, rule) for _ in range(windows)]


def is_false(verdict: str, truth: tuple[float, float], margin: float) -> bool:
    """Whether a verdict is not so of the true ratios."""
    if verdict == "SAME":
        return not all(1 / (1 + margin) <= one <= 1 + margin for one in truth)
    if verdict == "SLOWER":
        return min(truth) <= 1
    return verdict == "FASTER" and max(truth) >= 1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Error rates of A against B.")
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0, help="both added up, at most")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    given = parser.parse_args()
    rule = RatioRule(seconds=given.seconds)
    print(
        "| series | true p50 ratio | mean | FASTER | SLOWER | SAME | UNCLEAR | false | INVALID "
        "| p50 missed | mean missed | rounds | seconds (p90) |"
    )
    print("| --- " * 13 + "|")
    for kind in given.kinds:
        total: dict[float, list[Outcome]] = {}
        for one in series(kind):
            for true in (1.0, 1.05):
                found = rates(one, true, given.windows, rule)
                total.setdefault(true, []).extend(found)
                print(_row(one.name, found), flush=True)
        for found in total.values():
            print(_row(f"**all of {kind}**", found))


def _row(name: str, found: list[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in found)
    shares = [counts[word] for word in ("FASTER", "SLOWER", "SAME", "UNCLEAR")]
    shares += [sum(outcome.false for outcome in found)]
    shares += [sum(not outcome.valid for outcome in found)]
    shares += [sum(outcome.missed[place] for outcome in found) for place in (0, 1)]
    truths = sorted({f"{outcome.truth[1]:.2f}" for outcome in found})
    means = truths[0] if len(truths) == 1 else f"{truths[0]} to {truths[-1]}"
    rounds = np.median([outcome.rounds for outcome in found])
    seconds = np.percentile([outcome.seconds for outcome in found], [50, 90])
    return (
        f"| {name} | {found[0].truth[0]:.2f} | {means} | "
        + " | ".join(f"{count / len(found):.1%}" for count in shares)
        + f" | {rounds:.0f} | {seconds[0]:.1f} ({seconds[1]:.1f}) |"
    )


def _median(values: npt.NDArray[np.float64]) -> float:
    found = percentile(values, 50)
    assert found is not None
    return found


def _unstable(samples: npt.NDArray[np.float64]) -> bool:
    return bool(unstable_level(samples, unstable_stretches(samples, (samples.size,))))


def _misses(found: RatioInterval | None, truth: float) -> bool:
    known = found is not None and found.low is not None and found.high is not None
    return known and not found.low <= truth <= found.high


if __name__ == "__main__":
    main()

"""Results of bench and deploy, and of other tools: compare, report, show, import, export."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutate import damaged

from kinds import copied

TRTEXEC = b'[{"startInMs": 0.1, "endInMs": 1.2, "latencyMs": 1.1, "computeMs": 1.0, "inMs": 0.1}]'
BENCHMARK_APP = b"""{"cmd_options": {"m": "a.xml", "d": "CPU"},
 "configuration_setup": {"batch_size": "1"},
 "execution_results": {"latency_median": "1.5", "latency_avg": "1.6", "latency_min": "1.1",
 "latency_max": "9.9", "throughput": "600.1", "execution_time": "600.1", "iterations_num": "9"}}"""


def make(r: Random, base: Path, work: Path) -> list[str]:
    copied(base, work, "bench", "bench2")
    (work / "deploy.json").write_bytes((base / "b.bundle/deploy.json").read_bytes())
    (work / "trtexec.json").write_bytes(TRTEXEC)
    (work / "app.json").write_bytes(BENCHMARK_APP)
    files = ["bench/bench.json", "bench/bench.json", "deploy.json", "trtexec.json", "app.json"]
    samples = next((work / "bench/samples").iterdir())
    name = r.choice([*files, f"bench/samples/{samples.name}"])
    path = work / name
    path.write_bytes(damaged(r, path.name, path.read_bytes(), (base / "bomb").read_bytes()))
    if name.startswith("bench"):
        calls = [["compare", "bench", "bench2"], ["compare", "bench2", "bench/bench.json"]]
        calls += [["report", "bench", "bench2", "-o", "out.html"], ["results", "show", "bench"]]
        form = r.choice(["csv", "markdown", "google-benchmark"])
        calls += [["results", "export", "bench", "--format", form]]
        calls += [["results", "import", "bench"], ["results", "environment", "bench", "bench2"]]
    elif name == "deploy.json":
        calls = [["report", name, "-o", "out.html"], ["compare", name, "bench"]]
        calls += [["results", "export", name]]
    else:
        named = ["--model", "m", "--target", "openvino:cpu"]
        calls = [["results", "import", name], ["results", "import", name, *named]]
    return r.choice(calls)

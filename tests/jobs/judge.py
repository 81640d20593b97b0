"""A judge for tests: certifies any graph against the untouched one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from edgekit.core.certificate import Check, Limits
from edgekit.core.progress import Silent
from edgekit.core.runtime import CompileOptions
from edgekit.core.variant import Variant
from edgekit.jobs.process.feeds import generated_feeds
from edgekit.jobs.process.plain import PLAIN_OPTIONS
from edgekit.jobs.process.targets import usable
from edgekit.jobs.steps.engine import compile_graphs, open_engines
from edgekit.jobs.steps.entries import plan_entries
from edgekit.jobs.steps.examine import Basis, examine_entry, judge_entry, reference_truths
from edgekit.jobs.steps.reference import Reference


class Judge:
    """Certifies graphs against the untouched model on chosen images."""

    def __init__(self, graph, model, samples, target="onnxruntime:cpu"):
        self._where = usable(target)
        self._card = model.card
        self._progress = Silent()
        feeds = generated_feeds(model.card, 0)
        self.truths = reference_truths(
            Reference(
                "the graph itself", self._opener(graph, PLAIN_OPTIONS, usable("onnxruntime:cpu"))
            ),
            model.card,
            Path(),
            samples,
            feeds,
            feeds,
            trust_code=False,
            seed=0,
            progress=self._progress,
        )

    def __call__(self, path, precision="fp32", **limits):
        (plan,) = plan_entries([self._where], [precision], ["fp32"])
        variant = Variant(plan.variant, precision, {"main": str(path)})
        basis = Basis(self._card, Path(), self.truths, Check(verdict="PASS"))
        found = examine_entry(
            plan,
            variant,
            self._opener(path, CompileOptions(), self._where),
            basis,
            self._progress,
        )
        return judge_entry(plan, found, basis, Limits(**limits))

    def _opener(self, path, options, where):
        target, probe = where
        engines = compile_graphs({"main": path}, target, probe, options, progress=self._progress)
        return partial(open_engines, {"main": engines["main"].folder})

"""What a deployment would do, before it does it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from edgekit import api
from edgekit.benchmarks.environment import environment
from edgekit.core.certificate import Limits
from edgekit.core.documents import Environment
from edgekit.export.builtin.catalogue import BUILTIN
from edgekit.jobs.steps import proofs as proving

TARGET = ("onnxruntime:cpu",)


def deploy(output, *, dry_run=True, **options):
    return api.deploy(
        "edgekit:digits",
        output,
        targets=TARGET,
        precision=("fp32",),
        time=0.2,
        force=True,
        dry_run=dry_run,
        **options,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory, digits):
    """(document, cache) of a deployment that was carried out."""
    folder = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(folder / "cache"))
        return deploy(folder / "bundle", data=digits, dry_run=False), folder / "cache"


@pytest.fixture
def plan(tmp_path, digits, monkeypatch):
    """Plan a deployment with an empty cache."""
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))

    def make(**options):
        return deploy(tmp_path / "bundle", **{"data": digits, **options})

    return make


@pytest.fixture
def plan_again(plan, done, tmp_path):
    """Plan one with the cache of one that was carried out."""
    shutil.copytree(done[1], tmp_path / "cache")
    return plan


def test_before_the_first_run_everything_is_to_be_made(plan, tmp_path):
    document = plan()
    assert [(stage.stage, stage.cached) for stage in document.stages] == [
        ("export", False),
        ("reference", False),
        ("engine", False),
        ("certificate", False),
        ("measurement", False),
    ]
    assert document.entries == ("fp32 on onnxruntime:cpu in fp32",)
    assert document.seconds == pytest.approx(sum(stage.seconds for stage in document.stages))
    assert all("guess" in stage.basis for stage in document.stages[:-1])
    # Graph and engine hold the weights, also where they came with edgekit.
    sizes = {stage.stage: stage.size_bytes for stage in document.stages}
    assert sizes["export"] == sizes["engine"] > 200_000
    assert document.size_bytes == sum(sizes.values())
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "cache" / "stages").exists()


def test_after_a_run_the_plan_names_the_stages_that_the_run_named(plan_again, done):
    document = plan_again()
    assert [(stage.stage, stage.subject) for stage in document.stages] == [
        (stage.stage, stage.subject) for stage in done[0].stages
    ]
    assert all(stage.cached for stage in document.stages)
    assert (document.seconds, document.size_bytes) == (0, 0)
    again = plan_again(remeasure=True)
    assert [stage.stage for stage in again.stages if not stage.cached] == ["measurement"]
    assert again.seconds > 0.2


def test_what_an_option_changes_is_to_be_made_and_takes_as_long_as_before(plan_again):
    document = plan_again(seed=1)
    again = {stage.stage: stage for stage in document.stages if not stage.cached}
    assert {"export", "reference", "certificate"} <= set(again)
    assert again["export"].basis.startswith("As the last time, 20")
    assert again["export"].seconds > 0
    assert again["export"].size_bytes > 100_000


def test_other_weights_behind_a_built_in_name_are_another_model(plan_again, tmp_path, monkeypatch):
    weights = tmp_path / "digits.safetensors"
    content = bytearray(BUILTIN["digits"].weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    monkeypatch.setitem(BUILTIN, "digits", replace(BUILTIN["digits"], weights=weights))
    assert not any(stage.cached for stage in plan_again().stages)


def test_another_budget_makes_nothing_again(plan_again):
    document = plan_again(limits=Limits(max_drop=0.1, min_agreement=0.99))
    assert all(stage.cached for stage in document.stages)


def test_a_measurement_of_another_machine_is_not_used_again(plan_again, monkeypatch):
    # One machine is all there is here: another power mode stands for another machine.
    here = environment(None)
    other = Environment(
        identity={**here.identity, "power_mode": "nvpmodel 2"}, observed=here.observed
    )
    monkeypatch.setattr(proving, "environment", lambda _threads: other)
    document = plan_again()
    assert [stage.stage for stage in document.stages if not stage.cached] == ["measurement"]


def test_another_image_makes_what_depends_on_it_again(plan_again, digits, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    assert all(stage.cached for stage in plan_again(data=data).stages)
    rows = (data / "labels.csv").read_text().splitlines()
    scored = [row.split(",")[0] for row in rows if row.endswith(",eval")]
    # The same size, other content: the last and the first image change places.
    one, other = data / scored[-1], data / scored[-2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    document = plan_again(data=data)
    missing = [stage.stage for stage in document.stages if not stage.cached]
    assert missing[:2] == ["reference", "certificate"]
    assert "export" not in missing
    assert "engine" not in missing

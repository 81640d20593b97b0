import json
import math

import jsonschema
import msgspec
import pytest

from edgekit.benchmarks.schemas import load_schema, schema_file
from edgekit.benchmarks.schemas.make import make_schema
from edgekit.core.certificate import Check, Metric
from edgekit.core.documents import (
    DOCUMENTS,
    DeployDocument,
    DeployEntry,
    Environment,
    ErrorDocument,
    EvalDocument,
    Recommendation,
)
from edgekit.core.errors import BadInput
from edgekit.core.measurement import Latency

METRIC = Metric(name="top1", value=0.7, low=0.6, high=0.8, n=10)


def validate(document):
    content = msgspec.json.decode(msgspec.json.encode(document))
    kind = content["schema"].split(".")[1].split("/")[0]
    jsonschema.Draft202012Validator(load_schema(kind)).validate(content)


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_committed_schema_is_that_of_the_record(kind):
    assert load_schema(kind) == make_schema(kind), "run: python -m edgekit.benchmarks.schemas.make"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_schema_is_a_schema_that_names_its_kind(kind):
    schema = load_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"edgekit.{kind}/1"
    assert schema["$id"] == schema_file(kind)
    assert schema["properties"]["schema"]["enum"] == [f"edgekit.{kind}/1"]
    assert "schema" in schema["required"]
    # Python 3.13 strips the indentation of docstrings, so no version may leave it in.
    assert "\\n    Attributes" not in json.dumps(schema)


def test_an_unknown_kind_is_refused_with_the_closest_match():
    with pytest.raises(BadInput, match="'deploy'"):
        load_schema("depoly")


def test_documents_validate_and_wrong_ones_do_not():
    validate(ErrorDocument(kind="bad-input", message="m", hint="h", exit_status=2))
    validate(EvalDocument(model="m", target="t", variant="v", compute="fp32", metric=METRIC, n=10))
    validator = jsonschema.Draft202012Validator(load_schema("error"))
    for wrong in (
        {"kind": "k", "message": "m", "hint": "h", "exit_status": 2},
        {"schema": "edgekit.error/2", "kind": "k", "message": "m", "hint": "", "exit_status": 2},
        {"schema": "edgekit.error/1", "kind": "k", "message": "m", "hint": "", "exit_status": "2"},
    ):
        assert not validator.is_valid(wrong)


def test_a_reader_accepts_keys_that_a_later_release_adds():
    content = {
        "schema": "edgekit.error/1",
        "kind": "k",
        "message": "m",
        "hint": "",
        "exit_status": 2,
    }
    jsonschema.validate({**content, "later": 1}, load_schema("error"))


def test_a_deploy_document_with_refused_and_infinite_figures_validates():
    entry = DeployEntry(
        target="openvino:cpu",
        variant="fp32",
        compute="fp32",
        verdict="FAIL",
        executed_precision="fp32",
        checks={"parity": Check(verdict="FAIL", value=-math.inf, limit=80)},
        metric=METRIC,
        latency=Latency(boundary="latency.host", n=3),
        throughput_per_s=None,
        size_bytes=1,
        load_ms=None,
        first_ms=None,
        rss_peak_bytes=None,
        energy_j=None,
    )
    nothing = Recommendation(target="openvino:cpu", variant=None, compute=None, reason="r")
    validate(
        DeployDocument(
            bundle="b",
            source="s",
            recommended=(nothing,),
            best=None,
            verdict="FAIL",
            entries=(entry,),
            reference="torch",
            reference_metric=None,
            environment=Environment(identity={}, observed={}),
        )
    )

"""Every public call takes str and PathLike, one thing for several, and refuses the rest."""

from __future__ import annotations

import inspect
import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import edgekit
from edgekit import api
from edgekit.core import calls
from edgekit.core.errors import BadInput
from edgekit.core.progress import Progress, Silent

CALLS = {name: getattr(api, name) for name in api.__all__}
# `edgekit.load` is the one public call that stands beside the API's.
ALL = {**CALLS, "load": edgekit.load}


class Somewhere:
    """A path that is neither text nor a Path."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __fspath__(self) -> str:
        return self.text


def kinds(call):
    return calls._kinds(inspect.unwrap(call))


def parts(kind):
    """The annotation without None, its kinds one by one."""
    if typing.get_origin(kind) in (typing.Union, type(int | str)):
        return [one for one in typing.get_args(kind) if one is not type(None)]
    return [kind]


def is_path(kind):
    return typing.get_origin(kind) is typing.Annotated


def arguments(*, paths, text="word"):
    """For every call its arguments by name, as a person would give them."""

    def value(kind):
        one = parts(kind)[-1]
        origin, inner = typing.get_origin(one), typing.get_args(one)
        if is_path(one):
            return paths("a/b")
        if origin is Sequence:
            return value(inner[0])
        if origin is Mapping:
            return {value(inner[0]): value(inner[1])}
        if origin is tuple:
            return tuple(value(kind) for kind in inner)
        if origin is typing.Literal:
            return inner[0]
        known = {str: text, bool: True, int: 3, float: 2.5}
        if one is Progress:
            return Silent()
        return known[one] if one in known else one()

    return {
        name: {key: value(kind) for key, kind in kinds(call).items()} for name, call in ALL.items()
    }


@pytest.fixture
def handed(monkeypatch):
    """Catch what reaches the jobs, and `edgekit.load`'s own body."""
    caught = {}

    monkeypatch.setattr(calls, "_function", lambda _job: lambda **given: caught.update(given))

    def predictor(model, **given):
        caught.update(model=model, **given)
        return type("Opened", (), {"warnings": ()})()

    monkeypatch.setattr("edgekit.jobs.opening.predictor.open_predictor", predictor)
    return caught


def test_every_public_call_goes_through_the_door():
    # Red where a new call does without: its paths would be what the caller gave.
    for name, call in ALL.items():
        assert call is not inspect.unwrap(call), name
        assert kinds(call) or not inspect.signature(call).parameters, name


@pytest.mark.parametrize("name", CALLS)
def test_the_job_takes_what_the_call_is_handed(name):
    job, names = home_of(CALLS[name])
    taken = inspect.signature(calls._function(job)).parameters
    rest = any(one.kind is one.VAR_KEYWORD for one in taken.values())
    given = {names.get(key, key) for key in inspect.signature(CALLS[name]).parameters}
    assert rest or given <= set(taken)
    needed = {
        key
        for key, one in taken.items()
        if one.default is one.empty and one.kind is not one.VAR_KEYWORD
    }
    assert needed <= given


def home_of(call):
    closed = inspect.getclosurevars(call).nonlocals
    return closed["job"], closed["names"]


@pytest.mark.parametrize("name", ALL)
def test_str_and_pathlike_and_one_for_several_reach_the_job_alike(name, handed):
    # Red on api.export("edgekit:digits", "s.onnx"), an AttributeError, and on targets="ov:cpu",
    # which asked for the runtime 'o'.
    found = []
    for paths in (str, Path, Somewhere):
        handed.clear()
        ALL[name](**arguments(paths=paths)[name])
        found.append({**handed, "progress": None})
    assert found[0] == found[1] == found[2]
    names = home_of(CALLS[name])[1] if name in CALLS else {}
    for key, kind in kinds(ALL[name]).items():
        given = found[0][names.get(key, key)]
        several = typing.get_origin(parts(kind)[-1]) is Sequence
        assert isinstance(given, tuple) or not several, key
        inside = typing.get_args(parts(kind)[-1])[0] if several else parts(kind)[-1]
        if is_path(inside):
            made = typing.get_args(inside)[1]
            assert isinstance(given[0] if several else given, made), key


@pytest.mark.parametrize("name", ALL)
def test_an_argument_of_a_wrong_kind_is_one_sentence_that_names_it(name, handed):
    right = arguments(paths=str)[name]
    for key, kind in kinds(ALL[name]).items():
        if parts(kind)[-1] is Progress:
            continue
        for wrong in (b"bytes", None, object()):
            if wrong is None and type(None) in typing.get_args(kind):
                continue
            with pytest.raises(BadInput) as caught:
                ALL[name](**{**right, key: wrong})
            assert f"{name}: {key} " in caught.value.message
    assert name != "export" or handed == {}


def test_no_text_at_all_is_not_the_current_folder(tmp_path, monkeypatch):
    # `edgekit inspect "$MODEL"` with nothing in MODEL went on with the graphs that lay about.
    monkeypatch.chdir(tmp_path)
    for call in (api.inspect, api.verify, api.compile):
        with pytest.raises(BadInput, match="must be a path"):
            call("")


def test_a_number_where_a_path_is_taken_is_refused():
    for wrong in (3, None, b"m.onnx", ["m.onnx"]):
        with pytest.raises(BadInput, match="export: output"):
            api.export("edgekit:digits", wrong)


def test_numbers_of_numpy_are_numbers_and_true_is_none(handed):
    import numpy as np

    api.bench("m.onnx", batch=np.int64(2), time=np.float32(1))
    assert (handed["batch"], handed["time"]) == (2, 1.0)
    for key in ("batch", "time"):
        with pytest.raises(BadInput, match=key):
            api.bench("m.onnx", **{key: True})


def test_a_missing_or_unknown_argument_is_pythons_own_error():
    for arguments_ in ((), ("m.onnx", "o", 3, 4)):
        with pytest.raises(TypeError):
            api.export(*arguments_)
    with pytest.raises(TypeError):
        api.export("m.onnx", "o.onnx", target="cpu")


def test_paths_and_targets_as_a_person_gives_them(tmp_path):
    written = api.export("edgekit:digits", str(tmp_path / "s.onnx"))
    assert os.fspath(written.graphs["main"]) == str(tmp_path / "s.onnx")
    document = api.bench(tmp_path / "s.onnx", targets="onnxruntime:cpu", time=0.1, store=False)
    assert [entry.target for entry in document.entries] == ["onnxruntime:cpu"]
    with edgekit.load(Somewhere(str(tmp_path / "s.onnx")), target="cpu") as predictor:
        assert predictor.task == "classification"

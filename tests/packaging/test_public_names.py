"""Every module says what it offers, and offers what it says."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import edgekit


def modules():
    return sorted(
        module.name for module in pkgutil.walk_packages(edgekit.__path__, prefix="edgekit.")
    )


def test_all_parts_are_walked():
    parts = {name.split(".")[1] for name in modules()}
    assert {"api", "benchmarks", "cli", "core", "export", "jobs", "runtimes", "tasks"} <= parts


@pytest.mark.parametrize("name", modules())
def test_all_names_the_public_names(name):
    module = importlib.import_module(name)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    }
    if not hasattr(module, "__all__"):
        assert defined == set(), f"{name} has no __all__"
        return
    listed = list(module.__all__)
    assert [missing for missing in listed if not hasattr(module, missing)] == []
    assert len(listed) == len(set(listed))
    assert defined - set(listed) == set(), f"{name} offers names that its __all__ does not list"
    assert [
        private for private in listed if private.startswith("_") and private != "__version__"
    ] == []

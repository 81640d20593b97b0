"""Clocks, scenarios, statistics, metrics and certificates."""

if __name__ != "edgekit.benchmarks":
    raise ImportError("This folder is the package edgekit.benchmarks; import it by that name.")

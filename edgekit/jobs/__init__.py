"""One module per verb: composes export, runtimes, benchmarks and tasks."""

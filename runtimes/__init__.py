"""One module per engine, behind the protocols of edgekit.core.runtime."""

if __name__ != "edgekit.runtimes":
    raise ImportError("This folder is the package edgekit.runtimes; import it by that name.")

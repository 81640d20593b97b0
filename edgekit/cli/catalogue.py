"""The commands as plain data, so that the group's help imports none of them."""

from __future__ import annotations

__all__ = ["COMMANDS", "TOOLS"]

# Command to its one-line summary, in the order of a model's way to the device. The module is
# edgekit.cli.commands.NAME and holds a click command called `command`.
COMMANDS = {
    "doctor": "Say what works here, what does not, why, and the fix.",
    "data": "Write a built-in data set.",
    "export": "Export a trained model to ONNX, checked against PyTorch.",
    "quantize": "Write an int8 or fp16 variant of an ONNX model.",
    "compile": "Compile a model for one target; engines are cached.",
    "eval": "Score a model on labelled data, with an interval.",
    "bench": "Measure latency, throughput and memory.",
    "compare": "Judge a stored result against another one.",
    "results": "List, show, export, import and prune what was measured.",
    "deploy": "Do all of it: write a certified bundle, name the best variant.",
    "verify": "Check a bundle on arrival, down to its answers.",
    "pack": "Put what the device needs into one folder.",
    "demo": "Show what a model sees, live, and how old it is.",
    "predict": "Answer images: annotated pictures and JSON.",
    "report": "Write one page about bundles and results: what to ship, and why.",
    "debug": "Find the node that makes a check fail.",
    "cache": "List, measure and prune what was made before.",
    "inspect": "Explain a model: work, limits, what int8 costs; compare two.",
}

# Commands about the command line itself: they print text, have no document and no call in the API.
TOOLS = {
    "completion": "Print the script that completes commands in your shell.",
}

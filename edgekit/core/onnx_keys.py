"""Keys of what edgekit writes into the metadata of ONNX files."""

from __future__ import annotations

__all__ = ["CARD_KEY", "MODULE_KEY", "ROLE_KEY"]

# Of a model: the card as JSON, and which of the card's graphs this file holds.
CARD_KEY = "edgekit.card"
ROLE_KEY = "edgekit.role"
# Of a node: the path of its module in the PyTorch model.
MODULE_KEY = "edgekit.module"

"""Scenes with known objects, drawn from a seed: what `edgekit:shapes` is trained and scored on."""

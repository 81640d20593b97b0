"""Models that ship with edgekit: definition, weights and evaluation data."""

"""The first node whose output leaves the limit of parity."""

"""A model made ready for the live demo: the shape for the stream, the engine that is fastest."""

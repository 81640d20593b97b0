"""Image in to result out: what a live demo runs and what an end-to-end latency measures."""

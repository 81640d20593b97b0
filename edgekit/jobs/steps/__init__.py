"""What is made once and kept: graphs, engines, references, proofs."""

"""What a MODEL is: a bundle, a graph, a folder of engines; read and checked."""

"""What `edgekit bench` is made of: cells, their preparation, and how results are kept."""

"""What a report page is made of, read from bundles, results and images."""

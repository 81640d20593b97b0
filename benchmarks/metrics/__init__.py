"""Task metrics, each with a bootstrap interval over images and a paired drop."""

"""Models found, compiled, opened in processes of their own, run and judged."""

"""The stages of a deployment, from the cache or made, and the bundle they end in."""

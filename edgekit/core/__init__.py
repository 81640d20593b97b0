"""Records and protocols that every other part of edgekit speaks; needs numpy and msgspec only."""

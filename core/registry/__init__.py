"""Models: the operator's catalogue of bases, and what jobs made of them."""

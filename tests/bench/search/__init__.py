"""How good samplers are: problems, peers, and the score. See docs/sampler.md."""

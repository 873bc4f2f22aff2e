"""Formats of a review: each a function of a `Document`, and of nothing else."""

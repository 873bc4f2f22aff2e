"""Gains: what an activation does to the variance of a signal."""

"""Distributions: densities, moments, and how numbers are drawn from them."""

"""Hydra composition, and where every value came from. Nothing here knows torch."""

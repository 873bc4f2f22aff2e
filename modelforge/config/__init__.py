"""Hydra composition, and where every value came from. Nothing here knows torch."""

from modelforge.config.compose import Config, compose, from_hydra, rewritten
from modelforge.config.folder import default_conf, options, shipped
from modelforge.config.loader import guard_hydra
from modelforge.config.origins import Origins

__all__ = [
    "Config",
    "Origins",
    "compose",
    "default_conf",
    "from_hydra",
    "guard_hydra",
    "options",
    "rewritten",
    "shipped",
]

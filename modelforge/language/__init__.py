"""The language: what a config may say, as frozen Pydantic models."""

from modelforge.language import combinators as combinators  # they register themselves
from modelforge.language.init import InitSpec as InitSpec
from modelforge.language.layer import LayerSpec as LayerSpec
from modelforge.language.model import ModelSpec as ModelSpec
from modelforge.language.model import TensorSpec as TensorSpec
from modelforge.language.parse import parse as parse

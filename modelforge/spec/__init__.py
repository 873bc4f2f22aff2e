"""The language: what a config may say, as frozen Pydantic models."""

from modelforge.spec.init import InitSpec as InitSpec
from modelforge.spec.layer import LayerSpec as LayerSpec
from modelforge.spec.model import ModelSpec as ModelSpec
from modelforge.spec.model import TensorSpec as TensorSpec
from modelforge.spec.parse import parse as parse

"""`Block` and `Activation` under the name that initializers import them by."""

from modelforge.block import Activation as Activation
from modelforge.block import Block as Block

"""`Block` and what it holds under the name that initializers import them by."""

from modelforge.block import Activation as Activation
from modelforge.block import Attention as Attention
from modelforge.block import Block as Block
from modelforge.block import Branch as Branch
from modelforge.block import Context as Context
from modelforge.block import Projection as Projection

"""`Block` and what it holds under the name that initializers import them by."""

from modelforge.core.matrix import Activation as Activation
from modelforge.core.matrix import Attention as Attention
from modelforge.core.matrix import Block as Block
from modelforge.core.matrix import Branch as Branch
from modelforge.core.matrix import Context as Context
from modelforge.core.matrix import Projection as Projection

"""What is known of any `nn.Module`: its parameters, structure and parametrisations."""

from modelforge.modules import torch_nn as torch_nn  # the tables of classes register themselves
from modelforge.modules import transformers as transformers

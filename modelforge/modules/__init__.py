"""What is known of any `nn.Module`: its parameters, structure and parametrisations."""

from modelforge.modules import torch_layouts as torch_layouts  # the tables of classes register themselves
from modelforge.modules import transformers as transformers

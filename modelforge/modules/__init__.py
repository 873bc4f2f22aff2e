"""What is known of any `nn.Module`: its parameters, structure and parametrisations."""

from modelforge.modules import transformers as transformers  # the tables of other libraries' classes

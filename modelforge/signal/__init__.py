"""How a network starts: what its signals and gradients are predicted to be, layer by layer."""

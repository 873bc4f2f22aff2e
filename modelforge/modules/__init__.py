"""What is known of any `nn.Module`: its parameters, structure and parametrisations."""

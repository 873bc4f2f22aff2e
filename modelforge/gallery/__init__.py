"""Gallery: published claims about initial values, each declared in a config and measured on small networks."""

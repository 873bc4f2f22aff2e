"""A plan → findings about how the network starts."""

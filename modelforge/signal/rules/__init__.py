"""Rules: what each layer type does to a signal and to a gradient. One place each, found by the registry."""

"""The layers that a config can name: torch.nn's, the combinators, and the few of our own."""

"""Training in several processes: how they start, agree and end, and how a model is sharded over them."""

"""The `optimizer` section: any optimizer of torch.optim, and which parameters share which of its settings."""

"""The `scheduler` section: any scheduler of torch.optim, and curves that know how long the training is."""

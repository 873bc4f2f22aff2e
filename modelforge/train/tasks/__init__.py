"""What a model is trained for: a loss and a metric for each `task` of the data."""

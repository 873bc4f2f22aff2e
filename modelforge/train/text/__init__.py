"""Language models: `bigram`, the baseline of one, and `sample`, text written by a trained one."""

"""Signal: how strong values and gradients are throughout a network before it is trained."""

"""What every room stands on: errors, limits, keys, tensors. Imports nothing above it."""

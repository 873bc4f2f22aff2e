"""The initializers, one file a family."""

"""A spec → every layer's shapes and every parameter's rule."""

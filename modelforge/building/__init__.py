"""A plan → a module with its values, and their proof."""

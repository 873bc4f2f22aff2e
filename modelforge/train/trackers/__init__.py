"""The loggers of Lightning that carry out what a config declares."""

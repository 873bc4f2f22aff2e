"""The callbacks of Lightning that carry out what a config declares, and what every run needs."""

"""Data: `sources/` has one class for each `data.type`; `registry` lists them, `read` gets their examples as `parts`."""

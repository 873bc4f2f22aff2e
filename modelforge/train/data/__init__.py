"""Data by name: each source is one frozen class, whose fields are the `data` section and whose `read` gives examples.

`sources` lists them, `parts` says what they give, `batches` and `module` deal it out.
"""

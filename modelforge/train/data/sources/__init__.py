"""Sources of data: each is one frozen class, whose fields are a `data` section and whose `read` gives examples."""

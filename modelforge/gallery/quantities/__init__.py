"""The quantities of the gallery; each module registers those of one kind."""

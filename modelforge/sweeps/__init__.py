"""Sweeps: which jobs a multirun has, and each of them frozen, run once and resumed."""

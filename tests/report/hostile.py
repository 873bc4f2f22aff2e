"""Texts that would drive a terminal or leave their line."""

HOSTILE = [
    "\x1b[31m", "\n::error::pwned", "\r", "\x00", "\x07", "\x7f", "\x9b", "\u0085", "\u2028", "\u2029", "\u202e",
    "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u180e", "\u034f", "\u3164", "\ufe0f",
    "\U000e0041", "\ud800", "\t",
]  # fmt: skip

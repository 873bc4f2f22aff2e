"""A small model of text for tests."""

from __future__ import annotations

import torch
from torch import nn


class Reader(nn.Module):
    """A model of text that reads in one direction, or in both."""

    def __init__(self, *, both: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(5, 4)
        self.rnn = nn.GRU(4, 4, batch_first=True, bidirectional=both)
        self.head = nn.Linear(8 if both else 4, 5)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])

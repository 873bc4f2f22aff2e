"""Networks as people write them: classes with a `forward`, not made by modelforge."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """A residual block with one activation for both places, and a shortcut where shapes ask for it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(x, 1))


class WithShortcut(nn.Module):
    """A residual block whose shortcut is called that, and empty where the sizes agree."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        out += self.shortcut(x)
        return F.relu(out)


class LeNet(nn.Module):
    """Functions for all that has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 5)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), (2, 2))
        x = x.view(x.size(0), -1)
        x = F.dropout(F.relu(self.fc1(x)), 0.3, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class Tagger(nn.Module):
    """Recurrent, with a first state of zeros made by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 6, padding_idx=0)
        self.rnn = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
        self.fc = nn.Linear(10, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        start = torch.zeros(4, tokens.size(0), 5)
        out, (hidden, _) = self.rnn(self.embed(tokens), (start, start))
        del hidden
        return self.fc(out[:, -1, :])


class Stateful(nn.Module):
    """A first state of zeros like what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 5, batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        _, hidden = self.rnn(x, x.new_zeros(1, x.shape[0], 5))
        return self.fc(hidden[-1])


class EncoderDecoder(nn.Module):
    """The decoder starts from the encoder's state."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(4, 5, batch_first=True)
        self.decoder = nn.LSTM(3, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, source: Tensor, target: Tensor) -> dict[str, Tensor]:
        memory, (h, c) = self.encoder(source)
        out, _ = self.decoder(target, (h, c))
        return {"scores": self.head(out), "memory": memory}


class Classifier(nn.Module):
    """torch's own encoder behind an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, nn.LayerNorm(8), enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(tokens) * 8**0.5).mean(dim=1))


class Block(nn.Module):
    """Pre-norm, written by hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    """Blocks in a list, and a head that is the table itself."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.blocks = nn.ModuleList([Block(8) for _ in range(3)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class CrossBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.mix = nn.Linear(4, 4)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return self.mix(x + self.attend(x, memory, memory)[0])


class Decoder(nn.Module):
    """Each block reads what the first layer made."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.Linear(3, 4)
        self.blocks = nn.ModuleList([CrossBlock(), CrossBlock()])

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        memory = self.memory(source)
        for block in self.blocks:
            x = block(x, memory)
        return x


class Wide(nn.Module):
    """Branches in a list, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.Conv2d(2, 3, size, padding=size // 2) for size in (1, 3, 5)])
        self.head = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([branch(x) for branch in self.branches], 1)
        return self.head(F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1))


class InTurn(nn.Module):
    """Layers of a list with functions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(2, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)])
        self.act = nn.ELU(0.5)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = self.act(conv(x))
        return self.fc(x.transpose(1, 2))


class Gated(nn.Module):
    """A value and a gate, which are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(4, 6)
        self.gate = nn.Linear(4, 6)
        self.down = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x)) + x


def tokens(count: int = 20, *shape: int) -> Tensor:
    return torch.randint(count, shape, generator=torch.Generator().manual_seed(0))


NETWORKS: dict[str, tuple[Any, tuple[Tensor, ...]]] = {
    "resnet": (ResNet, (torch.randn(2, 3, 32, 32),)),
    "shortcuts": (
        lambda: nn.Sequential(WithShortcut(2, 2), WithShortcut(2, 3), WithShortcut(3, 3)),
        (torch.randn(2, 2, 5, 5),),
    ),
    "lenet": (LeNet, (torch.randn(2, 1, 14, 14),)),
    "tagger": (Tagger, (tokens(20, 2, 7),)),
    "stateful": (Stateful, (torch.randn(2, 6, 4),)),
    "encoder_decoder": (EncoderDecoder, (torch.randn(2, 6, 4), torch.randn(2, 5, 3))),
    "classifier": (Classifier, (tokens(20, 2, 7),)),
    "encoder": (Encoder, (tokens(11, 2, 7),)),
    "decoder": (Decoder, (torch.randn(2, 5, 4), torch.randn(2, 6, 3))),
    "wide": (Wide, (torch.randn(2, 2, 8, 8),)),
    "in_turn": (InTurn, (torch.randn(2, 2, 9),)),
    "gated": (Gated, (torch.randn(2, 4),)),
}

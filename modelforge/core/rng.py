"""Keyed randomness: from a seed and names to random words, or to a torch generator, that no other key shares.

Words come from NumPy's SFC64, whose stream NumPy keeps the same for ever; a key gives its state, 192 bits of SHAKE-128.
torch's CPU generator keeps only the low 32 bits of `manual_seed`, too few for thousands of parameters that must never
meet. So there a key fills the whole state of the Mersenne twister: 624 words of SHAKE-128.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from modelforge.core.torch_state import standard_settings

CHUNK = 1 << 20
"""Elements that one key draws; a longer parameter is drawn in chunks, each with its number in its key."""

_PIECE = 1 << 15
"""Words at a time: what NumPy makes of them on the way stays in a core's own cache."""

_WORDS = 624
_HEAD = np.array([0, 1 | 1 << 32, 0], dtype="<u8").tobytes()
"""Of a state blob: the seed it reports, `left` = 1 (draw new words first) beside `seeded` = 1, `next` = 0."""
_BODY = slice(len(_HEAD), len(_HEAD) + 8 * _WORDS)
_EMPTY = torch.frombuffer(bytearray(_HEAD.ljust(5056, b"\0")), dtype=torch.uint8)
_DOMAIN = b"modelforge 1\n"


def check_seed(seed: object) -> int:
    """A seed as a plain integer: any integer is one, of whatever size and sign.

    Raises:
        TypeError: it is none.
    """
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"a seed must be an integer, but is {seed!r}")
    return operator.index(seed)  # pyright: ignore[reportArgumentType]  # it has __index__


class Key:
    """What a draw depends on, and all that it depends on: a seed and names.

    Any integer is a seed; integers and strings, and every way to cut one text into names, are different keys.

    >>> next(Key(1, "head.weight", 0).words(3)).tolist() == next(Key(1, "head.weight").sub(0).words(3)).tolist()
    True
    """

    __slots__ = ("_parts",)

    def __init__(self, seed: int, *names: str | int) -> None:
        self._parts = (seed, *names)

    def __repr__(self) -> str:
        return f"Key{self._parts!r}"

    def sub(self, *names: str | int) -> Key:
        """The key with more names."""
        return Key(*self._parts, *names)

    def state(self) -> np.ndarray:
        """The state of an SFC64 generator: three random words of 64 bits, and its counter."""
        return np.append(np.frombuffer(_shake(b"words", self._parts, 24), dtype="<u8"), np.uint64(1))

    def words(self, count: int) -> Iterator[np.ndarray]:
        """Random words, all int32 equally likely, piece by piece; word i is the same whatever `count` is."""
        stream = np.random.SFC64(0)
        stream.state = {**stream.state, "state": {"state": self.state()}}
        for start in range(0, count, _PIECE):
            length = min(_PIECE, count - start)
            yield stream.random_raw((length + 1) // 2).astype("<u8", copy=False).view("<i4")[:length]

    def generator(self) -> torch.Generator:
        """A torch generator on the CPU."""
        return torch.Generator().set_state(_state(self._parts))

    def integer(self, bits: int = 63) -> int:
        """A whole number of so many bits, for libraries that take a seed.

        >>> Key(0, "step", 1_000_003).integer() == Key(1, "step", 0).integer(), Key(2**32).integer(32) < 2**32
        (False, True)
        """
        return int.from_bytes(_shake(b"integer", self._parts, 8), "big") >> (64 - bits)

    def seed_globals(self) -> None:
        """Seeds torch's global generators, that of the CPU and those of all devices."""
        torch.manual_seed(self.integer())
        torch.set_rng_state(_state(self._parts))  # `manual_seed` keeps 32 bits on the CPU


def narrow(seed: int) -> int:
    """A seed of any size and sign in the 32 bits that NumPy and Lightning take: itself where it fits.

    >>> narrow(7), narrow(2**32) == narrow(0), narrow(-1) == narrow(2**32 - 1)
    (7, False, False)
    """
    return seed if 0 <= seed < 2**32 else Key(seed, "narrow").integer(32)


def split(generator: torch.Generator) -> Key:
    """A key that is drawn from a generator."""
    return Key(*torch.empty(4, dtype=torch.int64, device="cpu").random_(generator=generator).tolist())


@contextmanager
def keyed_globals(seed: int, *names: str | int) -> Generator[None]:
    """Runs its body with torch's global CPU generator keyed, and puts the old state back whatever happens."""
    with preserved_globals():
        torch.set_rng_state(_state((seed, *names)))
        yield


@contextmanager
def preserved_globals() -> Generator[None]:
    """Runs its body with standard settings, and puts torch's global CPU generator back as it was whatever happens.

    One thread at a time: see `standard_settings`.
    """
    with standard_settings():
        before = torch.get_rng_state()
        try:
            yield
        finally:
            torch.set_rng_state(before)


def _state(parts: tuple[str | int, ...]) -> torch.Tensor:
    return _blob(np.frombuffer(_shake(b"", parts, 4 * _WORDS), dtype="<u4"))


def _shake(use: bytes, parts: tuple[str | int, ...], size: int) -> bytes:
    return hashlib.shake_128(_DOMAIN + use + _encode(parts), usedforsecurity=False).digest(size)


def _blob(words: np.ndarray) -> torch.Tensor:
    """The state that a CPU generator would save after being seeded to these 624 words."""
    blob = _EMPTY.clone()
    blob.numpy()[_BODY].view("<u8")[:] = words
    return blob


def _encode(key: tuple[str | int, ...]) -> bytes:
    """The key as bytes, each part with its kind and length before it, so that no two keys are written alike."""
    return b"".join(_encode_part(part) for part in key)


def _encode_part(part: str | int) -> bytes:
    if isinstance(part, str):
        kind, text = b"s", part.encode("utf-8", "surrogatepass")
    else:
        kind, text = b"i", b"%x" % operator.index(part)
    return b"%s%d:%s" % (kind, len(text), text)

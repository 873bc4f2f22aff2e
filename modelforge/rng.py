"""Keyed randomness: from a seed and names to a torch generator that no other key shares.

torch's CPU generator keeps only the low 32 bits of `manual_seed`, too few for thousands of parameters that must never
meet. So a key fills the whole state of the Mersenne twister behind it: 624 words of SHAKE-128 over the key.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch

from modelforge.settings import standard_settings

CHUNK = 1 << 18
"""Elements that one key draws; a longer parameter is drawn in chunks, each with its number in its key."""

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


def seed_(generator: torch.Generator, seed: int, *names: str | int) -> torch.Generator:
    """Re-keys a CPU generator in place and returns it.

    The stream is a function of `seed` and `names` alone. Any integer is a seed; integers and strings, and every way to
    cut one text into names, are different keys.

    >>> one = seed_(torch.Generator(), 1, "head.weight", 0)
    >>> torch.rand((), generator=one) == torch.rand((), generator=generator(1, "head.weight", 0))
    tensor(True)
    """
    return generator.set_state(_state((seed, *names)))


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A new CPU generator with the key `(seed, *names)`."""
    return seed_(torch.Generator(), seed, *names)


def split(generator: torch.Generator) -> torch.Generator:
    """A new CPU generator whose state is drawn from another one."""
    words = torch.empty(_WORDS, dtype=torch.int64, device="cpu").random_(0, 1 << 32, generator=generator)
    return torch.Generator().set_state(_blob(words.numpy()))


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


def _state(key: tuple[str | int, ...]) -> torch.Tensor:
    digest = hashlib.shake_128(_encode(key), usedforsecurity=False).digest(4 * _WORDS)
    return _blob(np.frombuffer(digest, dtype="<u4"))


def _blob(words: np.ndarray) -> torch.Tensor:
    """The state that a CPU generator would save after being seeded to these 624 words."""
    blob = _EMPTY.clone()
    blob.numpy()[_BODY].view("<u8")[:] = words
    return blob


def _encode(key: tuple[str | int, ...]) -> bytes:
    """The key as bytes, each part with its kind and length before it, so that no two keys are written alike."""
    return _DOMAIN + b"".join(_encode_part(part) for part in key)


def _encode_part(part: str | int) -> bytes:
    if isinstance(part, str):
        kind, text = b"s", part.encode("utf-8", "surrogatepass")
    else:
        kind, text = b"i", b"%x" % operator.index(part)
    return b"%s%d:%s" % (kind, len(text), text)

"""The registry of callbacks: from a name in the `callbacks` section to its class. One class in this folder adds one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.registry import Declared, Registry
from modelforge.train.arguments import misuse
from modelforge.train.context import Context, Terms
from modelforge.train.named import Named, parse_named

if TYPE_CHECKING:
    from lightning import Callback


class CallbackSettings(Named, ABC):
    """One entry of the `callbacks` section: its fields are the settings, `make` gives the callback."""

    replaces_weights: ClassVar[bool] = False
    """Whether it validates and saves other weights than those that are trained; a run takes one such callback."""

    @abstractmethod
    def make(self, context: Context) -> Callback:
        """The callback of one run. What it keeps in `state_dict` goes into the checkpoints.

        Raises:
            ForgeError: it cannot be made, for want of a package for example.
        """

    def check(self, key: str, terms: Terms) -> Iterator[Problem]:
        """The problems of the settings with the rest of the config; `key` is the override key of the callback."""
        return iter(())

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Settings that nothing reads, since others are as they are: each field's name, and the reason."""
        return iter(())

    def late(self, key: str, terms: Terms, epochs: int | None, steps: int | None) -> Iterator[Problem]:
        """Warnings about what would begin after the training has ended.

        Args:
            key: The override key of the callback.
            terms: The rest of the config.
            epochs: Whole epochs of the training; None where nothing says how many.
            steps: Its steps; None likewise.
        """
        return iter(())


CALLBACKS = Registry[type[CallbackSettings]](
    "a callback", "modelforge.callbacks", package="modelforge.train.callbacks", base=CallbackSettings
)
"""Every callback by its name."""


def register_callback(name: str) -> Callable[[Declared], Declared]:
    """Makes a class known as `callbacks.name`: its fields are the settings, its `make` gives a callback of Lightning's.

    Raises:
        TypeError: the class is not a finished `CallbackSettings`, or has no docstring.
        ValueError: another class has the name.

    Example:
        >>> from lightning import Callback
        >>> @register_callback("nothing")
        ... class Nothing(CallbackSettings):
        ...     "Does nothing."
        ...
        ...     def make(self, context):
        ...         return Callback()
        >>> parse_callbacks({"nothing": True})
        {'nothing': Nothing()}
        >>> _ = CALLBACKS.remove("nothing")
    """
    return CALLBACKS.register(name)


def parse_callbacks(section: Any) -> FrozenDict[str, CallbackSettings]:
    """The callbacks that a `callbacks` section switches on; Pydantic calls this.

    Example:
        >>> parse_callbacks({"ema": {"decay": 0.99}, "swa": None})["ema"].decay
        0.99
    """
    return parse_named(section, CALLBACKS)


def check_callbacks(callbacks: Mapping[str, CallbackSettings], terms: Terms) -> Iterator[Problem]:
    """The problems of callbacks with the rest of the config, and with each other."""
    for name, settings in callbacks.items():
        yield from settings.check(f"callbacks.{name}", terms)
    first, *others = [name for name, settings in callbacks.items() if settings.replaces_weights] or [""]
    for other in others:
        message = f"`{first}` and `{other}` exclude each other: each validates and saves its own average of the weights"
        yield misuse(f"callbacks.{other}", message, f"switch one off: `callbacks.{other}=null`", part="key")

"""The registry of loggers: from a name in the `logger` section to its class. One class in this folder adds a logger."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelforge.core.frozen import FrozenDict
from modelforge.core.registry import Declared, Registry
from modelforge.train.context import Context
from modelforge.train.named import Named, parse_named

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class LoggerSettings(Named, ABC):
    """One entry of the `logger` section: its fields are the settings, `make` gives the logger."""

    @abstractmethod
    def make(self, context: Context) -> Logger:
        """The logger of one run; what is to be kept with the run, such as `context.artifacts`, it may keep here.

        Raises:
            ForgeError: it cannot be made, for want of a package for example.
        """

    def close(self, logger: Any, *, finished: bool) -> None:
        """Lets go of the logger at the end of the run; `finished` tells whether the run came to its end."""


LOGGERS = Registry[type[LoggerSettings]](
    "a logger", "modelforge.loggers", package="modelforge.train.loggers", base=LoggerSettings
)
"""Every logger by its name."""


def register_logger(name: str) -> Callable[[Declared], Declared]:
    """Makes a class known as `logger.name`: its fields are the settings, its `make` gives a logger of Lightning's.

    Raises:
        TypeError: the class is not a finished `LoggerSettings`, or has no docstring.
        ValueError: another class has the name.

    Example:
        >>> from lightning.pytorch.loggers import CSVLogger
        >>> @register_logger("lightning_csv")
        ... class LightningCSV(LoggerSettings):
        ...     "Writes a file as Lightning does."
        ...
        ...     def make(self, context):
        ...         return CSVLogger(context.folder)
        >>> parse_loggers({"lightning_csv": True})
        {'lightning_csv': LightningCSV()}
        >>> _ = LOGGERS.remove("lightning_csv")
    """
    return LOGGERS.register(name)


def parse_loggers(section: Any) -> FrozenDict[str, LoggerSettings]:
    """The loggers that a `logger` section switches on; Pydantic calls this.

    Example:
        >>> sorted(parse_loggers({"csv": True, "tensorboard": {}, "wandb": None}))
        ['csv', 'tensorboard']
    """
    return parse_named(section, LOGGERS)

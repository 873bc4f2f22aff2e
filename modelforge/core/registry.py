"""`Registry`: from a name to one thing of a kind. Whatever a config can name is kept in one of these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.plugins import check_declaration, load_entry_points, load_package, own_module
from modelforge.core.suggestions import did_you_mean, nearest

Entry = TypeVar("Entry")
Declared = TypeVar("Declared", bound=type)


def itself(entry: Any) -> Any:
    """The entry: a class or a function that is its own definition."""
    return entry


class Absent(ForgeError, KeyError):
    """No entry has a name that a config has: it was unregistered after the config was read."""


class Registry(Generic[Entry]):
    """Names and aliases → entries, in the order of registration.

    Every lookup first makes sure that plugins are loaded: what the entry points of `group` name is imported once, and
    registers itself.

    Args:
        kind: What an entry is, for error messages: `a layer`.
        group: The entry point group; empty where other packages have nothing to offer.
        definition: From an entry to the class or function that defines it. An entry whose definition has the module and
            the name of the old one is that one defined again, as in a notebook, and replaces it.
        package: The package of what modelforge itself ships; its modules are imported, and register what they have.
        code: Of the problem that a name is which no entry has.
        decorator: What registers one of the user's own, for hints: `mf.register_layer`.
        base: What a class that is registered by `register` derives from.

    Example:
        >>> shapes = Registry[type]("a shape")
        >>> shapes.add("text", str, aliases=("words",))
        >>> shapes.get("words"), "text" in shapes, shapes.names(), shapes.suggest("texd")
        (<class 'str'>, True, ('text',), 'did you mean `text`?')
    """

    def __init__(
        self,
        kind: str,
        group: str = "",
        *,
        definition: Callable[[Entry], Any] = itself,
        package: str = "",
        code: str = "",
        decorator: str = "",
        base: type = object,
    ) -> None:
        self.kind = kind
        self.group = group
        self._definition = definition
        self.package = package
        self.code = code
        self.decorator = decorator
        self.base = base
        self._entries: dict[str, Entry] = {}
        self._aliases: dict[str, str] = {}
        self._shipped: frozenset[str] | None = None

    def add(self, name: str, entry: Entry, aliases: Collection[str] = ()) -> None:
        """Adds an entry, or replaces the one of which it is a new definition.

        Raises:
            TypeError: a name is not a text, or `aliases` is one.
            ValueError: another entry has the name or an alias, or one that modelforge ships.
        """
        if isinstance(aliases, str):
            raise TypeError(f"`aliases` of {self.kind} must be a tuple of names, but is {aliases!r}")
        for given in (name, *aliases):
            if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
                raise TypeError(f"{self.kind} needs a name, but gets {given!r}")
        if not (_defined_as(self._definition(entry))[0] or "").startswith(("modelforge.", "torch.")):
            self._load_shipped()
        old = self._entries.get(name)
        again = old is not None and name not in (self._shipped or ()) and self.is_redefined(old, entry)
        for taken in (name, *aliases):
            owner = self._aliases.get(taken, taken)
            if owner in self._entries and not (again and owner == name):
                where = ".".join(filter(None, _defined_as(self._definition(self._entries[owner]))))
                raise ValueError(f"{self.kind} `{taken}` exists already: {where}")
        if again:
            self.remove(name)
        self._entries[name] = entry
        self._aliases.update(dict.fromkeys(aliases, name))

    def register(self, name: str) -> Callable[[Declared], Declared]:
        """A decorator that adds a class which is its own declaration.

        Raises:
            TypeError: the class is not a finished subclass of `base`, or has no docstring.
            ValueError: another class has the name.
        """

        def decorate(cls: Any) -> Any:
            check_declaration(cls, self.base, self.base.__name__)
            self.add(name, cls)
            return cls

        return decorate

    def remove(self, name: str) -> None:
        """Forgets an entry and its aliases; for tests and notebooks.

        Raises:
            KeyError: no entry has this name.
        """
        del self._entries[name]
        self._aliases = {alias: target for alias, target in self._aliases.items() if target != name}

    def get(self, name: str) -> Entry:
        """The entry of a name or an alias.

        Raises:
            KeyError: there is none; `Absent` where the registry has a code.
        """
        self._load()
        name = self._aliases.get(name, name)
        if self.code and name not in self._entries:
            message = f"unknown {self.kind.split(maxsplit=1)[1]} `{name}`"
            raise Absent([Problem(self.code, str(name), message, self.suggest(name))])
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """All names without aliases, in the order of registration."""
        self._load()
        return tuple(self._entries)

    def aliases(self) -> MappingProxyType[str, str]:
        """From each alias to the name that it stands for."""
        self._load()
        return MappingProxyType(self._aliases)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Every name with its entry."""
        self._load()
        return iter(tuple(self._entries.items()))

    def name_of(self, entry: Entry) -> str | None:
        """The first name of an entry that is there already, or None."""
        return next((name for name, known in self._entries.items() if known is entry), None)

    def suggest(self, name: str, others: Collection[str] = ()) -> str:
        """A hint for a name that is not there, nor among `others`: which one was meant, or how to add one."""
        known = (*self.names(), *others)
        meant = did_you_mean(name, known)
        if not self.decorator or nearest(name, known):
            return meant
        own = f"register your own in code first: `@{self.decorator}`{own_module()}"
        return f"{meant}; {own}" if meant else own

    def is_redefined(self, old: Entry, new: Entry) -> bool:
        """Whether an entry is the old one defined again."""
        (*was, name), now = map(_defined_as, (self._definition(old), self._definition(new)))
        return (*was, name) == now and None not in now and "<lambda>" not in name

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries or name in self._aliases

    def _load(self) -> None:
        self._load_shipped()
        if self.group:
            load_entry_points(self.group)

    def _load_shipped(self) -> None:
        if self._shipped is not None or not self.package:
            return
        self._shipped = frozenset()  # what is imported asks and adds as well
        try:
            load_package(self.package)
        except BaseException:
            self._shipped = None
            raise
        self._shipped = frozenset(self._entries)


def _defined_as(definition: Any) -> tuple[str | None, str]:
    return getattr(definition, "__module__", None), getattr(definition, "__qualname__", str(definition))

"""Mutations: a good config, file or list of overrides → one that is nearly good."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.fuzz.strange import KEYS, KEYS_IN_CODE, ONLY_IN_CODE, TEXTS, VALUES, fresh

Tree = dict[Any, Any]
KeyPath = tuple[Any, ...]


def tree(good: Mapping[str, Any], random: Random, roots: Sequence[str] = ()) -> Tree:
    """A copy with one to three changes, below one of `roots` where those are given."""
    changed = copy.deepcopy(dict(good))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = [path for path in _paths(changed) if not roots or path[0] in roots]
        if places:
            _change(changed, random.choice(places), random, good)
    return changed


def text(good: str, random: Random) -> str:
    """A file with one to three changes of lines."""
    lines = good.split("\n")
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not lines:
            break
        index = random.randrange(len(lines))
        lines[index : index + 1] = _changed_line(lines[index], lines, random)
    return "\n".join(lines)


def overrides(known: Mapping[str, Any], random: Random) -> list[str]:
    """One to four overrides of keys that a config has, or nearly has."""
    return [_override(random.choice([*known]), known, random) for _ in range(random.choice((1, 1, 2, 3, 4)))]


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Every key of a config, those of sections too, by dotted path."""
    found: dict[str, Any] = {key: value} if key else {}
    for name, item in value.items() if isinstance(value, Mapping) else ():
        found |= flat(item, f"{key}.{name}" if key else str(name))
    return found


def _paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    found = [path] if path else []
    if len(path) > 30:
        return found
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        found += _paths(item, (*path, name))
    return found


def _change(changed: Tree, path: KeyPath, random: Random, good: Mapping[str, Any]) -> None:
    holder: Any = changed
    for name in path[:-1]:
        holder = holder[name]
    name, value = path[-1], holder[path[-1]]
    kind = random.choices(("value", "delete", "key", "add", "wrap", "swap", "near"), (40, 8, 10, 12, 8, 12, 10))[0]
    if kind == "value":
        holder[name] = fresh(random.choice(VALUES if random.random() < 0.8 else ONLY_IN_CODE))
    elif kind == "delete":
        del holder[name]
    elif kind == "wrap":
        holder[name] = random.choice(([value], {"a": value}, {name: value}, {"type": value}, [value, value], (value,)))
    elif kind == "swap":
        other: Any = good
        for part in random.choice(_paths(good)):
            other = other[part]
        holder[name] = copy.deepcopy(other)
    elif kind == "near":
        holder[name] = _near(value, random)
    elif not isinstance(holder, dict):
        holder.append(fresh(random.choice(VALUES)))
    elif kind == "key":
        # Where it stands: the order of layers is their order of execution.
        new = _key(name, random)
        pairs = [(new if key == name else key, item) for key, item in holder.items()]
        holder.clear()
        holder.update(pairs)
    else:
        holder[_key(name, random)] = fresh(random.choice(VALUES))


def _key(name: Any, random: Random) -> Any:
    if random.random() < 0.4:
        return _typo(str(name), random)
    return random.choice(KEYS if random.random() < 0.8 else KEYS_IN_CODE)


def _near(value: Any, random: Random) -> Any:
    if isinstance(value, bool) or value is None:
        return random.choice((None, True, False, 0, 1, "true", "null"))
    if isinstance(value, int | float):
        # Python writes no longer number as text, and has no larger float.
        bounded = max(min(value, 10**300), -(10**300))
        return random.choice(
            (value + 1, -value, value * 2, value * 1000, float(bounded), str(bounded), [value], bounded / 3)
        )
    if isinstance(value, str):
        return random.choice((_typo(value, random), value.upper(), f" {value}", [value], {"type": value}, value * 40))
    if isinstance(value, dict) and value:
        pairs: list[Any] = [*value.items()]
        random.shuffle(pairs)
        return random.choice((dict(pairs), pairs[0][1], [item for _, item in pairs], [*value], dict(pairs[1:])))
    return random.choice(([value], value * 2 if isinstance(value, list) else value, None))


def _typo(word: str, random: Random) -> str:
    at = random.randrange(len(word) + 1)
    letter = random.choice("abcxyz_.0 -:")
    return random.choice((word[:at] + word[at + 1 :], word[:at] + letter + word[at:], word[:at] + letter, word + "s"))


def _changed_line(line: str, lines: Sequence[str], random: Random) -> list[str]:
    key, colon, value = line.partition(":")
    indent = " " * (len(line) - len(line.lstrip()))
    junk = random.choice(TEXTS)
    match random.choices(range(12), (30, 6, 6, 8, 8, 6, 5, 5, 6, 8, 6, 3))[0]:
        case 0:
            return [f"{key}: {junk}" if colon else f"{line} {junk}"]
        case 1:
            return []
        case 2:
            return [line, line]
        case 3:
            return [random.choice((" ", "  ", "    ", "\t")) + line]
        case 4:
            return [line[random.choice((1, 2, 4)) :]]
        case 5:
            return [_typo(key, random) + colon + value]
        case 6:
            return [line, f"{indent}{junk}"]
        case 7:
            return [line, f"{indent}{random.choice(KEYS)!s}: {junk}".encode("utf-8", "replace").decode()]
        case 8:
            return [_typo(line, random)]
        case 9:
            return [line, random.choice(lines)]
        case 10:
            return [f"{key}:"]
        case _:
            return [f"{indent}- {line.strip()}"]


def _override(key: str, known: Mapping[str, Any], random: Random) -> str:
    if random.random() < 0.2:
        key = random.choice((_typo(key, random), f"{key}.x", key.rpartition(".")[0] or key, f"{key}.0", f"{key}@a"))
    prefix = random.choices(("", "+", "++", "~"), (70, 12, 10, 8))[0]
    value = random.choice(TEXTS) if random.random() < 0.7 else str(random.choice([*known.values()]))
    whole = f"{prefix}{key}={value}"
    return random.choices((whole, prefix + key, _typo(whole, random), f"{key}:{value}"), (85, 5, 8, 2))[0]

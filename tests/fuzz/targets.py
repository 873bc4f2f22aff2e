"""What strangers' files go through: the scan of one file, its model, the plan of that. `run` mutates good files.

`python tests/fuzz/targets.py scan --count 100000` mutates by chance; `guided.py` looks for new paths with atheris.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.config.composition import Library, plain
from modelforge.config.document import Document
from modelforge.config.folder import options
from modelforge.config.scan import Scan
from modelforge.core.codes import CODES
from modelforge.core.errors import ForgeError, Problem, render
from modelforge.planning.plan import plan as decide
from modelforge.planning.study import Studies
from tests.fuzz import mutate

ROOT = Path(__file__).parents[2]
ANSWERS: Counter[str] = Counter()
"""What came of the inputs: codes, or `fine`; and how many reached the parser and the planner."""
SHARED = 5_000
"""Plans that share what they know of layers."""
SLOW = 2.0
"""Seconds of the processor: an input that takes longer is printed."""
SMALL = 1_000
"""Bytes of a model that `run` mutates: small ones hold all that the language has, and are planned in a few ms."""
_studies = Studies()


def scan(data: bytes) -> None:
    """The strict scan of one file."""
    _judge(Scan().file(data, "config.yaml", "conf/config.yaml"))


def parse(data: bytes) -> mf.ModelSpec | None:
    """A file as a model."""
    return _parse(lambda: plain(Document("model.yaml", data.decode("utf-8", "replace")).load()))


def plan(data: bytes) -> None:
    """The model of a file, planned."""
    _plan(parse(data))


TARGETS: dict[str, Callable[[bytes], object]] = {"scan": scan, "parse": parse, "plan": plan}


def _parse(read: Callable[[], dict[str, Any]]) -> mf.ModelSpec | None:
    try:
        values = read()
        ANSWERS["parsed"] += 1
        spec = mf.parse(values)
    except ForgeError as error:
        _judge(error.problems)
        return None
    _judge(())
    return spec


def _plan(spec: mf.ModelSpec | None) -> None:
    global _studies
    if spec is None:
        return
    ANSWERS["planned"] += 1
    if not ANSWERS["planned"] % SHARED:
        _studies = Studies()
    try:
        decide(spec, _studies, read_files=False)
    except ForgeError as error:
        _judge(error.problems)


def _judge(problems: Sequence[Problem]) -> None:
    """Makes sure that an answer is one."""
    ANSWERS.update({problem.code for problem in problems} or {"fine"})
    for problem in problems:
        assert problem.code in CODES, problem.code
        assert problem.message.strip(), problem
        render(problem).encode()


def seeds(target: str) -> list[bytes]:
    """Good inputs: every shipped file for the scan, every model that is small or shipped for the others."""
    if target == "scan":
        files = [*(ROOT / "conf").rglob("*.yaml"), *(ROOT / "tests/config/hostile").glob("*.yaml")]
        return [path.read_bytes() for path in sorted(files)]
    models = [path.read_bytes() for path in sorted((ROOT / "tests/configs/valid").rglob("*.yaml"))]
    library = Library()
    for name in options(ROOT / "conf", "model"):
        values = compose(ROOT / "conf", [f"model={name}"], library=library).values
        models.append(_written({key: values[key] for key in ("model", "init") if key in values}))
    return models


def mutated(data: bytes, random: Random, *, is_model: bool) -> bytes:
    """An input with values changed if it is a model, else with lines changed, or bytes."""
    chance = random.random()
    if chance < (0.8 if is_model else 0):
        try:
            values = yaml.safe_load(data)
            return _written(mutate.tree(values, random)) if isinstance(values, dict) else data
        except (yaml.YAMLError, ValueError, RecursionError):
            return data
    if chance < 0.9 and data:
        return mutate.text(data.decode("utf-8", "replace"), random).encode("utf-8", "replace")
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(changed) + 1)
        changed[at : at + random.choice((0, 1, 1, 2, 20))] = random.choice(PIECES)
    return bytes(changed)


PIECES = (
    *(b"&a ", b"*a", b"<<: ", b"!!", b"? ", b"- ", b"{", b"}", b"[", b"]", b"${", b"}", b"${oc.env:A}", b"\xff", b"\0"),
    *(b": ", b"\n", b"\n---\n", b"%YAML 1.2\n", b"'", b'"', b"|\n", b"#", b"\t", b"\r", b"\xe2\x80\xae", b"_target_"),
    *(b"0x", b"9" * 40, b"hydra:", b"@", b"defaults:", b"", b"", b"\xef\xbb\xbf", b"\xc2\x85", b".", b"1e9", b"-1"),
)


def _written(values: Any) -> bytes:
    try:
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")
    except yaml.YAMLError:
        return repr(values).encode("utf-8", "replace")


def nearly(good: dict[str, Any], random: Random) -> dict[str, Any]:
    """A model with another number in one place or two: most such models are parsed, and planned."""
    values = copy.deepcopy(good)
    found = [*_numbers(values)]
    for holder, key in random.choices(found, k=random.choice((1, 1, 2))) if found else ():
        holder[key] = random.choice(
            (*range(10), 16, 64, 100, 1_000, holder[key] + 1, holder[key] * 2, -1, 10**6, 10**11)
        )
    return values


def _numbers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where whole numbers stand."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(item, int) and not isinstance(item, bool):
            yield value, key
        yield from _numbers(item)


def run(target: str, count: int, seed: int) -> None:
    """Gives good inputs, mutated by chance, to a target; models as the values that a file would have."""
    random, good, slowest = Random(seed), seeds(target), 0.0
    small = [data for data in good if len(data) < SMALL]
    models = [] if target == "scan" else [values for data in small if isinstance(values := _read(data), dict)]
    for number in range(count):
        data: Any = mutated(random.choice(good), random, is_model=False) if target == "scan" else random.choice(models)
        if target != "scan":
            data = (
                mutate.tree(data, random)
                if random.random() < (0.9 if target == "parse" else 0.3)
                else nearly(data, random)
            )
        start = time.process_time()
        try:
            scan(data) if target == "scan" else judged(data, target)
        except BaseException:
            print(f"input {number} of seed {seed}: {data!r}", flush=True)
            raise
        seconds = time.process_time() - start
        if seconds > SLOW:
            print(f"input {number} of seed {seed} takes {seconds:.1f} s: {data!r}", flush=True)
        slowest = max(slowest, seconds)
        if number % 10_000 == 9_999:
            print(f"... {number + 1:,} inputs, the slowest {slowest:.2f} s: {dict(ANSWERS.most_common(9))}", flush=True)
    print(f"{target}, seed {seed}: {count:,} inputs, the slowest {slowest:.2f} s: {dict(ANSWERS.most_common())}")


def judged(values: dict[str, Any], target: str) -> None:
    """Parses values, and plans the model with the target `plan`."""
    spec = _parse(lambda: values)
    if target == "plan":
        _plan(spec)


def _read(data: bytes) -> Any:
    try:
        return plain(Document("model.yaml", data.decode()).load())
    except ForgeError:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS])
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    run(given.target, given.count, given.seed)

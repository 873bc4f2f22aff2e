"""corpus: configs that strangers might send. Each is a project folder with `conf`, and the codes that refuse it.

Most are files in `hostile/`, whose first line says `# CODES: where it lies in conf`; what a repository should not hold
(links, devices, huge files, other encodings) is made here.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HOSTILE = Path(__file__).parent / "hostile"
SECRET = "s3cr3t-of-this-machine"
CONFIG = "defaults: [{model: evil}, {init: zeros}, _self_]\nseed: 0\n"
MODEL = "input: {shape: [4]}\nlayers:\n  a: {type: Linear, out_features: 2}\n"


@dataclass(frozen=True)
class Case:
    """One folder: `make` fills a project's empty folder."""

    codes: frozenset[str]
    """One of them is given; empty where nothing is wrong."""
    make: Callable[[Path], None]


def project(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Writes a good project with other files in `conf`, and a secret beside it."""
    given = {"config.yaml": CONFIG, "model/evil.yaml": MODEL, "init/zeros.yaml": "scheme: zeros\n", **files}
    (folder / "secret.yaml").write_text("password: hunter2\n")
    for name, content in given.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def corpus() -> dict[str, Case]:
    """All cases by name."""
    written = {path.stem: _written(path) for path in sorted(HOSTILE.glob("*.yaml"))}
    made = {make.__name__: Case(codes, make) for codes, make in _MADE}
    texts = {name: _file(codes, where, text) for name, (codes, where, text) in _TEXTS.items()}
    return written | made | texts


def _written(path: Path) -> Case:
    first, _, text = path.read_bytes().decode("utf-8").partition("\n")
    codes, _, where = first.removeprefix("# ").partition(": ")
    return _file(codes, where, text)


def _file(codes: str, where: str, text: str | bytes) -> Case:
    return Case(frozenset(codes.split()), lambda folder: project(folder, {where: text}))


_CHAIN = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300))
_KEYS = "".join(f"k{i}: 1\n" for i in range(60_000))
_MODEL_FILE = "model/evil.yaml"
_TEXTS: dict[str, tuple[str, str, str | bytes]] = {
    "alias_chain": ("MF060", "config.yaml", _CHAIN),
    "brackets": ("MF060", "config.yaml", "a: " + "[" * 10_000),
    "braces": ("MF060", "config.yaml", "a: " + "{a: " * 10_000),
    "brackets_closed": ("MF060", "config.yaml", f"a: {'[' * 60}{']' * 60}\n"),
    "indented": ("MF060", "config.yaml", "".join(f"{' ' * i}a:\n" for i in range(1_000))),
    "dashes": ("MF060 MF002", "config.yaml", "- " * 10_000),
    "question_marks": ("MF060 MF002", "config.yaml", "? " * 10_000),
    "interpolation_nested": ("MF060", "config.yaml", f"a: '{'${' * 900}x{'}' * 900}'\n"),
    "interpolation_in_brackets": ("MF060", "config.yaml", f"a: '${{oc.create:{'[' * 400}{']' * 400}}}'\n"),
    "interpolation_many": ("MF060", "config.yaml", f"a: '{'${oc.select:b}' * 600}'\n"),
    "interpolation_everywhere": (
        "MF060",
        "config.yaml",
        "".join(f"a{i}: ${{oc.select:x,{i}}}\n" for i in range(3_000)),
    ),
    "interpolation_chain": (
        "MF060",
        "config.yaml",
        f"{CONFIG}data:\n  x: ${{.a2999.b}}\n"
        + "".join(f"  a{i}: ${{.a{i - 1}}}\n" for i in range(2_999, 0, -1))
        + "  a0: {b: 1}\n",
    ),
    "digits": ("MF062", "config.yaml", f"a: {'9' * 9_000}\n"),
    "hex": ("MF062 MF060", "config.yaml", f"a: 0x{'f' * 9_000}\n"),
    "hex_huge": ("MF060", "config.yaml", f"a: 0x{'f' * 900_000}\n"),
    "binary": ("MF062 MF060", "config.yaml", f"a: 0b{'1' * 9_000}\n"),
    "long_key": ("MF060", "config.yaml", f"{'k' * 300}: 1\n"),
    "longer_key": ("MF060 MF002", "config.yaml", f"{'k' * 30_000}: 1\n"),
    "long_text": ("MF060", "config.yaml", f"a: '{'x' * 20_000}'\n"),
    "long_name": ("MF016 MF060", _MODEL_FILE, MODEL.replace("a:", f"{'a' * 150}:")),
    "many_keys": ("MF060", "config.yaml", _KEYS),
    "many_numbers": ("MF060", "config.yaml", f"a: [{'1,' * 60_000}]\n"),
    "large_file": ("MF060", "config.yaml", f"a: 1\n# {'x' * 2_000_000}\n"),
    "larger_file": ("MF060", "config.yaml", b"#" * 5_000_000),
    "many_aliases": ("MF060", "config.yaml", f"a: &a [{'x,' * 300}]\nb: [{'*a,' * 300}]\n"),
    "byte_order_mark": ("MF002", "config.yaml", b"\xef\xbb\xbfa: 1\n"),
    "utf_16": ("MF002", "config.yaml", "a: 1\n".encode("utf-16")),
    "utf_16_without_mark": ("MF007 MF002", "config.yaml", "a: 1\n".encode("utf-16-le")),
    "utf_32": ("MF002", "config.yaml", "a: 1\n".encode("utf-32")),
    "latin_1": ("MF002", "config.yaml", "a: caf\xe9\n".encode("latin-1")),
    "surrogate": ("MF002", "config.yaml", b"a: \xed\xa0\x80\n"),
    "null_byte": ("MF007", "config.yaml", b"a: 1\0\n"),
    "a_list": ("MF002", "config.yaml", "- a\n"),
    "a_text": ("MF002", "config.yaml", "text\n"),
    "not_yaml": ("MF002", "config.yaml", "a: [1\n"),
    "tabs": ("MF002", "config.yaml", "a:\n\tb: 1\n"),
    "defaults_doubling": ("MF060 MF001", "config.yaml", "defaults: [d/d30]\n"),
}


def _defaults_that_double(folder: Path) -> None:
    files = {f"d/d{i}.yaml": f"defaults: [d{i - 1}@a, d{i - 1}@b]\n" for i in range(1, 31)}
    project(folder, {"config.yaml": "defaults: [d/d30]\n", "d/d0.yaml": "x: 1\n", **files})


def _defaults_of_hydra(folder: Path) -> None:
    files = {"config.yaml": "defaults: [{evil@hydra.callbacks: harm}]\n", "evil/harm.yaml": "x: {command: id}\n"}
    project(folder, files)


def _defaults_in_a_circle(folder: Path) -> None:
    files = {"model/evil.yaml": "defaults: [other]\n", "model/other.yaml": "defaults: [evil]\n"}
    project(folder, files)


def _link_to_a_file(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/model/evil.yaml").unlink()
    (folder / "conf/model/evil.yaml").symlink_to(folder / "secret.yaml")


def _link_within(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/model/other.yaml").symlink_to("evil.yaml")


def _link_to_a_folder(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/data").symlink_to(folder)


def _link_to_itself(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/data").symlink_to(".")


def _link_to_nothing(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/data.yaml").symlink_to("nothing")


def _link_to_a_device(folder: Path) -> None:
    project(folder, {})
    (folder / "conf/data.yaml").symlink_to("/dev/zero")


def _folder_is_a_link(folder: Path) -> None:
    (folder / "real").mkdir()
    project(folder / "real", {})
    (folder / "conf").symlink_to("real/conf")


def _named_pipe(folder: Path) -> None:
    project(folder, {})
    os.mkfifo(folder / "conf/data.yaml")


def _named_pipe_without_an_ending(folder: Path) -> None:
    project(folder, {})
    os.mkfifo(folder / "conf/README")


def _socket(folder: Path) -> None:
    project(folder, {})
    here = os.getcwd()
    os.chdir(folder / "conf")  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("data.yaml")
    finally:
        os.chdir(here)


def _plugins_beside(folder: Path) -> None:
    project(folder, {"../hydra_plugins/evil/__init__.py": "import antigravity\n"})


def _plugins_within(folder: Path) -> None:
    project(folder, {"hydra_plugins/evil/__init__.py": "import antigravity\n"})


def _names_in_two_cases(folder: Path) -> None:
    project(folder, {"model/Evil.yaml": MODEL})


def _names_with_two_accents(folder: Path) -> None:
    project(folder, {"model/caf\xe9.yaml": MODEL, "model/cafe\u0301.yaml": MODEL})


def _name_with_a_line_break(folder: Path) -> None:
    project(folder, {"model/a\n::error::b.yaml": MODEL})


def _name_that_turns(folder: Path) -> None:
    project(folder, {"model/a\u202elmay.yaml": MODEL})


def _name_without_width(folder: Path) -> None:
    project(folder, {"model/evil\u200b.yaml": MODEL})


def _name_that_is_no_text(folder: Path) -> None:
    project(folder, {})
    Path(os.fsdecode(os.fsencode(folder) + b"/conf/\xff.yaml")).write_text("a: 1\n")


def _name_with_a_backslash(folder: Path) -> None:
    project(folder, {"a\\secret.yaml": "a: 1\n"})


def _long_file_name(folder: Path) -> None:
    project(folder, {f"{'a' * 240}.yaml": "a: 1\n"})


def _many_files(folder: Path) -> None:
    project(folder, {f"model/m{i}.yaml": "" for i in range(2_001)})


def _many_bytes(folder: Path) -> None:
    project(folder, {f"model/m{i}.yaml": f"# {'x' * 900_000}\n" for i in range(11)})


def _many_keys_in_many_files(folder: Path) -> None:
    project(folder, {f"model/m{i}.yaml": _KEYS[:300_000] for i in range(8)})


def _deep_folders(folder: Path) -> None:
    project(folder, {f"{'a/' * 20}b.yaml": "x: 1\n"})


_MADE: tuple[tuple[frozenset[str], Callable[[Path], None]], ...] = tuple(
    (frozenset(codes.split()), make)
    for codes, make in (
        ("MF060", _defaults_that_double),
        ("MF001 MF060", _defaults_in_a_circle),
        ("MF006", _defaults_of_hydra),
        ("MF008", _link_to_a_file),
        ("MF008", _link_within),
        ("MF008", _link_to_a_folder),
        ("MF008", _link_to_itself),
        ("MF008", _link_to_nothing),
        ("MF008", _link_to_a_device),
        ("MF008", _folder_is_a_link),
        ("MF008", _named_pipe),
        ("MF008", _named_pipe_without_an_ending),
        ("MF008", _socket),
        ("MF008", _plugins_beside),
        ("MF008", _plugins_within),
        ("MF008", _names_in_two_cases),
        ("MF008", _names_with_two_accents),
        ("MF007", _name_with_a_line_break),
        ("MF007", _name_that_turns),
        ("MF007", _name_without_width),
        ("MF007", _name_that_is_no_text),
        ("MF007", _name_with_a_backslash),
        ("MF060", _long_file_name),
        ("MF060", _many_files),
        ("MF060", _many_bytes),
        ("MF060", _many_keys_in_many_files),
        ("MF060", _deep_folders),
    )
)
_BLOCKS = "".join(f"  b{i}: {{layers: {{x: {{type: b{i - 1}}}}}}}\n" for i in range(1, 20))
HARMLESS: dict[str, dict[str, str]] = {
    "dollars": {"config.yaml": f"{CONFIG}data: {{note: 'costs $5, {{x}}, $x', escaped: '\\${{x}}', key: $}}\n"},
    "letters": {"config.yaml": CONFIG.replace("evil", "größe"), "model/größe.yaml": f"# слой\n{MODEL}"},
    "emoji_in_a_comment": {"config.yaml": f"# 👩\u200d💻 ⚠\ufe0f careful\n{CONFIG}"},
    "right_to_left_letters": {"config.yaml": f"# שלום\n{CONFIG}data: {{note: مرحبا}}\n"},
    "blocks": {
        "model/evil.yaml": "input: {shape: [4]}\nblocks:\n  b0: {layers: {a: ReLU}}\n"
        f"{_BLOCKS}layers:\n  a: {{type: b19}}\n"
    },
    "nested": {"config.yaml": f"{CONFIG}data: {{deep: {'[' * 40}{']' * 40}}}\n"},
    "own_resolvers": {
        "config.yaml": f"{CONFIG}data: {{w: 8, x: '${{.w}}', y: '${{oc.select:z,3}}'}}\n"
        "hydra: {run: {dir: 'runs/${now:%Y}'}}\n",
        "model/evil.yaml": "input: {shape: [4]}\nblocks:\n  b:\n    args: {n: 2}\n    layers:\n"
        "      a: {type: Linear, out_features: '${calc:\"2 * n\"}'}\nlayers:\n  a: {type: b, n: '${data.w}'}\n",
    },
    "aliases": {"config.yaml": f"{CONFIG}data:\n  a: &a {{x: 1}}\n  b: *a\n  c: {{<<: *a, y: 2}}\n"},
    "one_document": {"config.yaml": f"---\n{CONFIG}"},
    "windows_lines": {"config.yaml": CONFIG.replace("\n", "\r\n")},
    "long_chain": {
        "config.yaml": f"{CONFIG}data:\n  a0: 1\n" + "".join(f"  a{i}: ${{.a{i - 1}}}\n" for i in range(1, 3_000))
    },
    "search_path_below": {
        "config.yaml": f"{CONFIG}hydra: {{searchpath: [conf/more, 'pkg://modelforge.conf']}}\n",
        "more/x.yaml": "a: 1\n",
    },
    "other_files": {"README.md": "x", "__init__.py": "raise SystemExit", ".hidden": "\0"},
    "hydra_settings": {"config.yaml": f"{CONFIG}hydra: {{output_subdir: null, job: {{chdir: false}}}}\n"},
}
"""Near misses, which are let through."""

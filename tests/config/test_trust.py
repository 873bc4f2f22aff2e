"""A config is data: its files import nothing, read nothing outside their folder, and name no code for Hydra to call."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.utils import create_config_search_path

from modelforge.config.compose import compose
from modelforge.config.folder import options
from modelforge.config.loader import Door
from modelforge.core.errors import ForgeError
from tests.config.secrets import SECRET, around, refused

__all__ = ["around"]


@pytest.mark.parametrize(
    "entry",
    ["pkg://evilpkg", "pkg://antigravity", "pkg://evilpkg.conf", "structured://evilpkg", "importlib://evilpkg",
     "importlib-resources://evilpkg", "http://evil", "a://pkg://evilpkg"],
)  # fmt: skip
def test_a_search_path_imports_nothing(write, entry: str):
    root = write({"config.yaml": f"hydra: {{searchpath: ['{entry}']}}\n", "other.yaml": "x: 1\n"})
    assert f"error[MF004]: `{entry}` is not searched for configs\n  --> conf/config.yaml:1:" in refused(
        lambda: compose(root)
    )
    text = refused(lambda: compose(root, [f"hydra.searchpath=['{entry}']"], "other"))
    assert f"is not searched for configs\n  --> override hydra.searchpath=['{entry}']" in text


def test_a_search_path_made_of_pieces_imports_nothing(write):
    root = write({"config.yaml": "x: pkg\nhydra: {searchpath: ['${x}://evilpkg']}\n"})
    assert "error[MF004]" in refused(lambda: compose(root))


def test_a_group_has_no_search_path(write):
    files = {
        "config.yaml": "defaults: [m: a]\n",
        "m/a.yaml": "# @package _global_\nhydra: {searchpath: [pkg://evilpkg]}\n",
    }
    assert "only supported from the primary config" in refused(lambda: compose(write(files)))


@pytest.mark.parametrize("entry", ["..", "file://..", "/", "conf/../..", "conf/link"])
def test_a_search_path_of_a_file_stays_below(write, entry: str):
    root = write({"config.yaml": f"hydra: {{searchpath: ['{entry}']}}\nx: 1\n"})
    (root / "link").symlink_to("/")
    place = entry.removeprefix("file://")
    assert f"error[MF004]: the folder `{place}` lies outside the config folder" in refused(lambda: compose(root))


def test_search_paths_that_are_fine(write):
    root = write({"config.yaml": "defaults: [m: b, _self_]\nhydra: {searchpath: [conf/more, 'pkg://modelforge.conf']}\n",
                  "more/m/b.yaml": "y: 2\n"})  # fmt: skip
    assert compose(root).values == {"m": {"y": 2}}
    assert "optimizer" in compose(root, ["+optimizer=adam"]).values
    write({"plain.yaml": "x: 1\n", "../mine/m/c.yaml": "z: 3\n"})
    assert compose(root, ["+m=c", "hydra.searchpath=[mine]"], "plain").values["m"] == {"z": 3}


@pytest.mark.parametrize(
    "text",
    ["${oc.env:TOKEN}", "a ${oc.env:TOKEN} b", "${ oc.env : TOKEN }", "${oc.env:NONE,x}",
     "${oc.decode:${oc.env:TOKEN}}",
     "${oc.select:x,${oc.env:TOKEN}}", "${${name}:TOKEN}", "${oc.${end}:TOKEN}", "${oc.create:{a: ${oc.env:TOKEN}}}",
     "${x.${oc.env:TOKEN}}", "${oc.env:${oc.env:TOKEN}}", "${oc.deprecated:x}", "${somebodys:3}",
     "${hydra:runtime.cwd}",
     "${hydra.runtime.cwd}", "${hydra:${fact}}", "${oc.select:hydra.runtime.cwd}", "${oc.select:'hydra.runtime.cwd'}",
     "${oc.select:nope,${oc.select:hydra.runtime.cwd}}", "${oc.select:.hydra.runtime.cwd}", "${oc.select:${fact}}",
     "${oc.select:'hydra[runtime].cwd'}",
     "${oc.dict.values:hydra.runtime}", "${oc.dict.keys:hydra.job.env_set}",
    
     "${oc.dict.values:hydra}", "${hydra}", "${.hydra.runtime.cwd}", "${${fact}}", "${..${fact}.cwd}",
     "${hydra:job.env_set}", "${hydra:runtime.config_sources}",
     "\\\\${oc.env:TOKEN}${oc.env:TOKEN}"],
)  # fmt: skip
@pytest.mark.parametrize(
    "where",
    ['x: "TEXT"', 'model: {when: {"TEXT": 1}}', 'init: {path: ["TEXT"]}', 'defaults: [{m: "TEXT"}]',
     'defaults: ["TEXT"]',
     'defaults: [{"TEXT": m}]', 'hydra: {run: {dir: "TEXT"}}', 'hydra: {searchpath: ["TEXT"]}', 'a: &a "TEXT"\nb: *a'],
)  # fmt: skip
def test_resolvers_that_reach_outside(write, where: str, text: str):
    lines = f"name: oc.env\nend: env\nfact: runtime.cwd\n{where.replace('TEXT', text)}\n"
    text = refused(lambda: compose(write({"config.yaml": lines})))
    assert "MF005" in text
    assert "--> conf/config.yaml:4:" in text


@pytest.mark.parametrize(
    "text",
    ["${oc.decode:'\\${oc.env:TOKEN}'}", "${oc.decode:${escaped}}", "${oc.create:{a: '\\${oc.env:TOKEN}'}}",
     "\\${oc.env:TOKEN}"],
)  # fmt: skip
def test_texts_that_become_interpolations_later(write, text: str):
    quoted = text.replace("'", "''")
    root = write({"config.yaml": f"x: '{quoted}'\nescaped: '\\${{oc.env:TOKEN}}'\nkey: hydra.runtime.cwd\n"})
    try:
        shown = str(compose(root).values["x"])
    except ForgeError as error:
        shown = str(error)
    assert SECRET not in shown
    assert os.getcwd() not in shown


def test_the_text_of_a_refused_resolver(write, fails):
    root = write({"config.yaml": "type: ${oc.env:TOKEN}\nplace: ${hydra:runtime.cwd}\nname: ${${x}:1}\n"})
    fails(
        lambda: compose(root),
        """
        error[MF005]: the resolver `oc.env` may reach outside, and a config file is data
          --> conf/config.yaml:1:7
           |
        1  | type: ${oc.env:TOKEN}
           |       ^^^^^^^^^^^^^^^ give the value on the command line: `KEY='${oc.env:TOKEN}'`

        error[MF005]: `hydra:runtime.cwd` is a fact about the machine, and a config file is data
          --> conf/config.yaml:2:8
           |
        2  | place: ${hydra:runtime.cwd}
           |        ^^^^^^^^^^^^^^^^^^^^ a file may ask for the run's own, such as `hydra:job.num`

        error[MF005]: the name of a resolver is made by an interpolation
          --> conf/config.yaml:3:7
           |
        3  | name: ${${x}:1}
           |       ^^^^^^^^^ write its name
        """,
    )


def test_the_command_line_may_read_the_environment(write, fails, monkeypatch: pytest.MonkeyPatch):
    root = write({"config.yaml": "x: 1\ny: ${x}\nz: 0\n"})
    monkeypatch.setenv("NUMBER", "3")
    values = compose(root, ["x=${oc.env:TOKEN}", 'z="${oc.decode:${oc.env:NUMBER}}"']).values
    assert values == {"x": SECRET, "y": SECRET, "z": 3}
    fails(
        lambda: compose(root, ["x=${oc.env:NONE}"]),
        """
        error[MF003]: `${oc.env:NONE}` cannot be resolved: Environment variable 'NONE' not found
          --> override x=${oc.env:NONE}
        """,
    )


def test_no_error_shows_the_environment(write):
    root = write({"config.yaml": "defaults: [m: a, _self_]\nx: 1\n", "m/a.yaml": "y: 1\n"})
    assert "`m` has no option `${oc.env:TOKEN}`" in refused(lambda: compose(root, ["m=${oc.env:TOKEN}"]))
    origins = compose(root, ["x=${oc.env:TOKEN}"]).origins
    from modelforge.core.errors import Problem

    hidden = origins.locate(Problem("MF014", "x", f"`{SECRET}` and {SECRET[:12]}… are no numbers"))
    assert hidden.message == "`${oc.env:TOKEN}` and ${oc.env:TOKEN}… are no numbers"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [("defaults: ['../secret']", ()), ("defaults: [m: '../../secret']", ()), 
     ("defaults: [{optional ../secret: x}]", ()),
     ("defaults: ['../secret@x']", ()), ("defaults: ['/../secret']", ()), ("x: 1", ["+m=../../secret"]),
     ("defaults: [m: a]", ["m=../../secret"]), ("defaults: [m: link]", ()), ("defaults: [linked: secret]", ()),
     ("defaults: [m: a]", ["m=link"])],
)  # fmt: skip
def test_nothing_outside_the_folder_is_read(write, tmp_path: Path, text: str, overrides: tuple[str, ...]):
    root = write({"config.yaml": f"{text}\n", "m/a.yaml": "x: 1\n"})
    (root / "m" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (root / "linked").symlink_to(tmp_path)
    assert "error[MF004]" in refused(lambda: compose(root, overrides))


def test_the_text_of_a_link_that_leads_outside(write, tmp_path: Path, fails):
    root = write({"config.yaml": "defaults: [m: a]\n", "m/b.yaml": "x: 1\n"})
    (root / "m" / "a.yaml").symlink_to(tmp_path / "secret.yaml")
    fails(
        lambda: compose(root),
        """
        error[MF004]: `m/a` lies outside the config folder
          --> conf/config.yaml:1:15
           |
        1  | defaults: [m: a]
           |               ^ copy the file into the folder: nothing else is read, also not through links
        """,
    )


def test_the_folder_and_its_own_links_are_fine(write, tmp_path: Path):
    root = write({"config.yaml": "defaults: [m: b]\n", "m/a.yaml": "x: 1\n"})
    (root / "m" / "b.yaml").symlink_to("a.yaml")
    (tmp_path / "link").symlink_to(root.absolute())
    assert compose(root).values == compose(tmp_path / "link").values == {"m": {"x": 1}}


def test_a_linked_folder_offers_nothing(write, tmp_path: Path):
    root = write({"config.yaml": "x: 1\n"})
    (root / "linked").symlink_to(tmp_path)
    assert "there is no config group `linked`" in refused(lambda: options(root, "linked"))


def _doubling(depth: int) -> dict[str, str]:
    files = {f"l{level}.yaml": f"defaults: [l{level + 1}@a, l{level + 1}@b]\n" for level in range(depth)}
    return {"config.yaml": "defaults: [l0]\n", f"l{depth}.yaml": "x: 1\n", **files}


def _chain(*links: str) -> dict[str, str]:
    """Thirty levels, each of which holds the one below twice."""
    lines = [
        "x0: {a: 1, b: 2}",
        *(f"x{n}: {link.replace('BELOW', f'x{n - 1}')}" for n in range(1, 31) for link in links),
    ]
    return {"config.yaml": "\n".join(lines)}


@pytest.mark.parametrize(
    ("files", "message"),
    [(_doubling(8), "the defaults lists ask for more than 300 configs"),
     (_doubling(40), "the defaults lists ask for more than 300 configs"),
     ({"config.yaml": "defaults: [config]\n"}, "the defaults lists ask for more than 300 configs"),
     ({"config.yaml": f"defaults: [{', '.join(f'a@p{n}' for n in range(400))}]", "a.yaml": "x: 1"},
      "the defaults lists ask for more than 300 configs"),
     ({"config.yaml": "".join(f"k{n}: 1\n" for n in range(30_000))}, "more than 50,000 keys and values"),
     ({"config.yaml": f"defaults: [{', '.join(f'a@p{n}' for n in range(6))}]",
       "a.yaml": "".join(f"k{n}: 1\n" for n in range(5_000))}, "more than 50,000 keys and values"),
     ({"config.yaml": "x: " + "y" * 2**24}, "the file has more than 16 MiB"),
     (_chain("{p: '${BELOW}', q: '${BELOW}'}"), "interpolations make more than 100,000 values"),
     (_chain("{p: '${oc.select:BELOW}', q: '${oc.select:BELOW}'}"), "interpolations make more than 100,000 values"),
     (_chain("{p: '${oc.dict.values:BELOW}', q: '${oc.dict.values:BELOW}'}"),
      "interpolations make more than 100,000 values"),
     (_chain("'${oc.create:{p: ${BELOW}, q: ${BELOW}}}'"), "interpolations make more than 100,000 values"),
     (_chain("'${oc.select:BELOW}${oc.select:BELOW}'"), "interpolations make more than 100,000 values")],
    ids=["eight levels", "forty levels", "itself", "a long list", "many keys", "one file often", "bytes", "references",
         "select", "values", "create", "texts"],
)  # fmt: skip
def test_what_composition_makes_is_bounded(write, files: dict[str, str], message: str):
    text = refused(lambda: compose(write(files)))
    assert text.startswith("error[MF060]: ")
    assert message in text


WORKER = """
import pickle, sys
loader = pickle.load(sys.stdin.buffer)
from omegaconf import OmegaConf
made = OmegaConf.create({"text": r"\\${oc.env:TOKEN}", "made": "${oc.decode:${text}}"})
loader.load_configuration("config", ["m=a"], RunMode.RUN) if len(sys.argv) > 1 else print(made.made)
""".replace("from omega", "from hydra.types import RunMode\nfrom omega")


@pytest.mark.parametrize("loads", [(), ("config",)], ids=str)
def test_a_process_of_a_launcher_is_guarded_too(write, loads: tuple[str, ...]):
    """Hydra's launchers send the loader, pickled, to processes that never saw a command line."""
    root = write({"config.yaml": "defaults: [{m: null}]\n", "m/a.yaml": "x: ${oc.env:TOKEN}\n"})
    loader = pickle.dumps(Door(create_config_search_path(str(root))))
    done = subprocess.run([sys.executable, "-c", WORKER, *loads], input=loader, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error[MF005]")
    assert SECRET.encode() not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "overrides",
    [[], ["++m={z: 1}"], ["++m.made={z: 1}"], ["++m.z=1"], ["~m.gone"], ["m=evil"], ["m=evil", "++m={z: 1}"]],
    ids=str,
)
def test_what_a_file_wrote_below_an_override_stays_the_files(write, overrides: list[str]):
    """`m={z: 1}` merges a mapping into the file's: only `m.z` is the command line's."""
    made = "text: '\\${oc.env:TOKEN}'\nmade: {a: '${oc.decode:${m.text}}'}\ngone: 1\n"
    root = write({"config.yaml": "defaults: [{m: made}]\n", "m/made.yaml": made, "m/evil.yaml": "x: ${oc.env:TOKEN}\n"})
    assert "MF005" in refused(lambda: compose(root, overrides))


def test_what_an_override_gives_is_its_own(write):
    root = write({"config.yaml": "m: {a: 1}\n"})
    assert compose(root, ["m={a: '${oc.env:TOKEN}'}"]).values == {"m": {"a": SECRET}}
    assert compose(root, ["+n=[1, '${oc.env:TOKEN}']"]).values["n"] == [1, SECRET]


HYDRA = """
import sys, hydra
from modelforge.train import check_command_line
check_command_line("conf", sys.argv[1:])
hydra.main(version_base="1.3", config_path=sys.argv[0], config_name="config")(print)()
"""


@pytest.mark.parametrize("flag", [["--cfg", "job"], ["--info", "config"], ["--cfg", "job", "--resolve"]], ids=" ".join)
def test_what_hydra_prints_stays_on_its_line(write, tmp_path: Path, flag: list[str]):
    write({"config.yaml": 'x: "a\\n::error::b\\r\\n::c \\x1b[31m"\n"k\\n::key": 1\ny: "tab\\tand\\u2028"\nz: plain\n'})
    script = tmp_path / "app.py"
    script.write_text(HYDRA.replace("sys.argv[0]", "'conf'"))
    done = subprocess.run(
        [sys.executable, script, *flag], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stdout.splitlines() if line.lstrip().startswith("::")]
    assert done.stdout.replace("\n", "").isprintable()
    assert "z: plain" in done.stdout


@pytest.mark.parametrize("file", ["hydra_plugins/evil.py", "hydra_plugins/__init__.py"])
def test_the_working_folder_offers_no_plugin_to_the_command(write, tmp_path: Path, file: str):
    """Even where it can be imported from, as with `python -c` or `PYTHONPATH=.`."""
    write({"config.yaml": "x: 1\n"})
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / file).write_text("open('ran', 'w').close()\n")
    command = [sys.executable, "-c", "from modelforge.cli import main; main()", "check", "+x=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()

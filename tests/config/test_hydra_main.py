"""Inside a job of `@hydra.main`: the same config as `compose` gives, in a single run and in each job of a multirun."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from modelforge.config.compose import compose

APP = """
import json
import sys
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from modelforge.config.compose import compose, from_hydra
from modelforge.core.errors import ForgeError


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    outer = GlobalHydra.instance().hydra
    try:
        config = from_hydra(cfg)
    except ForgeError as error:
        print(error)
        sys.exit(1)
    inner = compose(Path(__file__).parent / "conf", config.overrides)
    assert GlobalHydra.instance().hydra is outer
    assert inner.values["model"] == config.values["model"]
    keys = ["model.input.shape.1", "model.layers.rnn.hidden_size", "init.gain", "seed"]
    report = {
        "values": config.values,
        "choices": config.choices,
        "overrides": config.overrides,
        "places": {key: config.origins.place(key).to_dict() for key in keys},
    }
    Path(HydraConfig.get().runtime.output_dir, "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
"""


@pytest.fixture
def app(tmp_path: Path, conf: Path) -> Path:
    shutil.copytree(conf, tmp_path / "conf")
    path = tmp_path / "app.py"
    path.write_text(dedent(APP))
    return path


def run(app: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=app.parent,
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_single_run(app, monkeypatch):
    overrides = ["model=lstm", "model.layers.rnn.hidden_size=9", "paths=default"]
    result = run(app, *overrides, "hydra.run.dir=out", "hydra.job.chdir=true")
    assert result.returncode == 0, result.stderr
    report = json.loads((app.parent / "out" / "report.json").read_text())
    out = str(app.parent / "out")
    assert report["values"].pop("paths") == {"output_dir": out, "checkpoints": f"{out}/checkpoints", "task": "lstm"}

    monkeypatch.chdir(app.parent)
    config = compose("conf", overrides[:2])
    assert report["values"] == config.values
    assert report["choices"] == {**config.choices, "paths": "default"}
    assert report["overrides"] == overrides
    for key, place in report["places"].items():
        expected = config.origins.place(key)
        assert expected is not None
        assert place == expected.to_dict()
    assert report["places"]["model.layers.rnn.hidden_size"] == {"override": "model.layers.rnn.hidden_size=9"}
    assert report["places"]["seed"]["file"] == "conf/config.yaml"


def test_multirun(app):
    result = run(app, "-m", "model=lstm", "init.gain=0.5,2", "hydra.sweep.dir=sweep")
    assert result.returncode == 0, result.stderr
    for job, gain in enumerate((0.5, 2)):
        report = json.loads((app.parent / "sweep" / str(job) / "report.json").read_text())
        assert report["values"]["init"] == {"scheme": "xavier", "gain": gain}
        assert report["overrides"] == ["model=lstm", f"init.gain={gain}"]
        assert report["places"]["init.gain"] == {"override": f"init.gain={gain}"}
        assert report["places"]["model.input.shape.1"]["via"]["file"] == "conf/data/digits.yaml"


def test_problems_have_places(app):
    result = run(app, "model=lstm", "+model.layers.rnn.bias=${data.bais}", "+data.bias=???")
    assert result.returncode == 1
    assert result.stdout == dedent(
        """\
        error[MF011]: `data.bias` must be given
          --> override +data.bias=???
           = help: as an override: `data.bias=...`

        error[MF003]: `${data.bais}` leads nowhere: `data` has no key `bais`
          --> override +model.layers.rnn.bias=${data.bais}
           = help: did you mean `bias`?
        """
    )


def test_a_config_package_is_read_as_its_folder(app):
    (app.parent / "__init__.py").touch()
    (app.parent / "conf" / "__init__.py").touch()
    code = "import sys; sys.argv[0] = 'app'; import package.app; package.app.main()"
    package = app.parent.parent / "package"
    app.parent.rename(package)
    result = subprocess.run(
        [sys.executable, "-c", code, "model=lstm", "hydra.run.dir=out"],
        cwd=package.parent,
        env={"PYTHONPATH": f"{Path(__file__).parents[2]}:{package.parent}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((package.parent / "out" / "report.json").read_text())
    assert report["places"]["model.layers.rnn.hidden_size"]["file"] == "package/conf/model/lstm.yaml"


def test_a_job_outlives_its_files(app):
    app.write_text(
        dedent(
            """
            import shutil
            import hydra
            from modelforge.config.compose import from_hydra

            @hydra.main(config_path="conf", config_name="config", version_base="1.3")
            def main(cfg):
                shutil.rmtree("conf")
                config = from_hydra(cfg)
                print(config.values["init"], config.origins.place("seed"), config.origins.place("init.gain"))

            main()
            """
        )
    )
    result = run(app, "init.gain=2")
    assert result.stdout == "{'scheme': 'xavier', 'gain': 2} None override init.gain=2\n", result.stderr


@pytest.mark.parametrize(
    ("file", "flags"),
    [
        ("leak: \"${oc.decode:'\\\\${oc.env:TOKEN}'}\"", ["--cfg", "job", "--resolve"]),
        ("leak: \"${oc.create:{a: '\\\\${oc.env:TOKEN}'}}\"", ["--cfg", "job", "--resolve"]),
        ("hydra: {run: {dir: \"runs/${oc.decode:'\\\\${oc.env:TOKEN}'}\"}}", []),
    ],
)
def test_hydra_makes_no_interpolation_of_a_text_either(tmp_path, file, flags):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text(f"seed: 0\n{file}\n")
    lines = APP.replace(
        "    main()", "    from modelforge.config.loader import guard_hydra\n\n    guard_hydra()\n    main()"
    )
    (tmp_path / "app.py").write_text(dedent(lines))
    result = subprocess.run(
        [sys.executable, "app.py", *flags],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "", "TOKEN": "s3cr3t"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "error[MF005]: a text that is made from others does not become an interpolation" in result.stderr
    assert "s3cr3t" not in result.stdout + result.stderr
    assert not (tmp_path / "runs").exists()

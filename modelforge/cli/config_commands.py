"""The commands about what configs declare; each is carried out in a module of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelforge.cli.front import answer, app, named_form
from modelforge.cli.options import (
    AS_FORM,
    BaseRef,
    ChangedOnly,
    Conf,
    DiagnosisForm,
    Direction,
    FailOn,
    FindingsForm,
    Json,
    Kind,
    LeastSeverity,
    Overrides,
    Report,
    ReviewForm,
)


@app.command()
def check(
    overrides: Overrides = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every model with every init, and every experiment. The default without overrides."
        ),
    ] = False,
    untrusted: Annotated[
        bool,
        typer.Option(
            "--untrusted", help="For a stranger's configs: a strict scan, then a confined process. A folder may follow."
        ),
    ] = False,
    changed_only: ChangedOnly = False,
    base_ref: BaseRef = None,
    form: Annotated[FindingsForm | None, AS_FORM] = None,
    output: Report = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Check one config, or every config in conf/, and print problems and warnings.

    With --untrusted, models are planned; training settings, weights and
    data are not read. Exit status 1 if there is a problem.
    """
    name = named_form(form, json=as_json)
    options: dict[str, Any] = {"form": name, "output": output, "as_json": name == "json" and output is None}
    if untrusted and changed_only:
        raise typer.BadParameter("choose one of --untrusted and --changed-only")
    since = _since(base_ref, changed_only=changed_only)
    if untrusted:
        answer("untrusted:check_untrusted", conf, overrides or [], every=every, plugins=False, **options)
    options |= {"every": every or not overrides, "base_ref": since}
    answer("check:check", conf, overrides or [], **options)


@app.command()
def lint(
    overrides: Overrides = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Lint every model with every init, and every experiment. Default without overrides."
        ),
    ] = False,
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar="CODE", help="Apply only this rule; may be given several times."),
    ] = None,
    changed_only: ChangedOnly = False,
    base_ref: BaseRef = None,
    form: Annotated[FindingsForm | None, AS_FORM] = None,
    fail_on: Annotated[
        LeastSeverity, typer.Option("--fail-on", help="Exit with 1 if a finding is at least this severe.")
    ] = LeastSeverity.error,
    output: Report = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Print findings about how a network starts: what is legal, but rarely meant.

    Each finding has a code; `modelforge list rules CODE` explains it. A
    model declares what is meant in `lint: {ignore: {CODE: reason}}`.
    """
    name = named_form(form, json=as_json)
    options: dict[str, Any] = {"every": every or not overrides, "rules": rules or [], "form": name}
    options |= {"base_ref": _since(base_ref, changed_only=changed_only), "fail_on": fail_on.value, "output": output}
    answer("lint:lint", conf, overrides or [], as_json=name == "json" and output is None, **options)


@app.command()
def show(
    overrides: Overrides = None,
    signal: Annotated[
        bool, typer.Option("--signal", help="Print the predicted std and gradient of each layer's output instead.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Print the memory of a training step instead; see --batch-size.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", min=1, help="With --memory: examples. Default: 32.")
    ] = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Print the model as a tree: layers, output shapes, parameters, initial values, FLOPs.

    Shapes and FLOPs are those of one example. Biases that start at 0 and
    scales that start at 1 are left out. A multiplication and an addition
    count as two FLOPs.
    """
    if signal and memory:
        raise typer.BadParameter("choose one of --signal and --memory")
    if batch_size is not None and not memory:
        raise typer.BadParameter("--batch-size is for --memory")
    answer(
        "show:show",
        conf,
        overrides or [],
        as_json=as_json,
        signal=signal,
        batch_size=(batch_size or 32) if memory else 0,
    )


@app.command()
def explain(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A parameter, a layer or a glob, such as rnn.weight_hh_l0")
    ],
    overrides: Overrides = None,
    signal: Annotated[
        bool, typer.Option("--signal", help="Add the predicted std and gradient of the layer's output.")
    ] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Explain the initial values of a parameter: every init block that applies to it, with file and line."""
    answer("explain:explain", path, conf, overrides or [], as_json=as_json, signal=signal)


@app.command()
def solve(
    overrides: Overrides = None,
    direction: Annotated[
        Direction, typer.Option("--direction", help="Keep signals (forward), gradients (backward), or both.")
    ] = Direction.forward,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help="Examples in a batch.")] = 32,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Find gains with which signals or gradients keep their strength through all layers, and print them as overrides.

    Strengths are predicted, before and after. Nothing is built or trained.
    """
    answer("solve:solve", conf, overrides or [], as_json=as_json, direction=direction.value, batch_size=batch_size)


@app.command()
def diagnose(
    overrides: Overrides = None,
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="KEY=A,B", help="Show these values side by side; repeatable: combinations."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Whether to build the model and measure it on a batch.")
    ] = True,
    data: Annotated[
        bool, typer.Option("--data", help="Measure on examples of the config's training data, not on random inputs.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Examples. Default: 32, fewer where they cost much.")
    ] = None,
    form: Annotated[
        DiagnosisForm | None, typer.Option("--format", help="How to show it. Default: by FILE, else text.")
    ] = None,
    output: Report = None,
    fail_on: Annotated[
        LeastSeverity | None, typer.Option("--fail-on", help="Exit with 1 if something is at least this severe.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of --format json, and exit.")] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Show how strong signals and gradients are at the start, layer by layer, what is wrong, and why.

    First comes the cause, with the line of the config to blame and the
    overrides that repair it. --output page.html writes a page with charts.
    """
    if schema:
        answer("diagnose:print_schema", as_json=True, plugins=False)
    name = named_form(form, json=as_json)
    if data and not measure:
        raise typer.BadParameter("choose one of --data and --no-measure")
    settings = {
        "measure": measure,
        "data": data,
        "batch_size": batch_size,
        "output": output,
        "fail_on": fail_on and fail_on.value,
    }
    answer("diagnose:diagnose", conf, overrides or [], compare or [], name, **settings)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What to list.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one, with all details; or a glob.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what a config can name; with NAME, the fields and documentation of one."""
    answer("list:catalogue", kind.value, name, as_json=as_json)


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="A", help="A config folder, overrides, a git revision, or a range: main...HEAD"),
    ] = "HEAD",
    new: Annotated[
        str | None, typer.Argument(metavar="B", help="What to compare A with. Default: . (the working tree).")
    ] = None,
    overrides: Overrides = None,
    conf: Conf = None,
    form: Annotated[ReviewForm | None, AS_FORM] = None,
    output: Report = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")] = False,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit with 1 if a change is at least this severe, or of this kind.")
    ] = FailOn.none,
    fetch: Annotated[bool, typer.Option("--fetch", help="Let git fetch the commits that the clone lacks.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of --format json, and exit.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="The same as --format markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Compare two versions of the configs: layers, shapes, parameters, initial values, all other values.

    A and B are each a config folder, overrides in one word ("model=lstm
    init.gain=2"), a git revision (with the config folder if it had another
    name then: HEAD~1:configs), or . for the working tree. A...B compares B
    with the commit where it branched off A. OVERRIDES apply to both.

    Compared are the default config, each option of a config group that
    reads a changed file, and what conf/review.yaml adds. The first line is
    the verdict; then follows what was compared, and what was not.

    Exit status: 0; 1 with --exit-code if there are differences other than
    formatting, comments and the order of keys, or if --fail-on says so; 2
    if A or B cannot be read or composed, or if an acceptance in
    conf/review.yaml fits no change.
    """
    if schema:
        answer("diff:print_schema", as_json=True, plugins=False)
    name = named_form(form, markdown=markdown, json=as_json)
    settings: dict[str, Any] = {"exit_code": exit_code, "fail_on": fail_on.value, "fetch": fetch, "output": output}
    is_json = name == "json" and output is None
    common: dict[str, Any] = {"as_json": is_json, "failure": 2, "plugins": False}
    answer("diff:compare", old, new, conf, overrides or [], name, **common, **settings)


@app.command(name="git-diff-driver")
def git_diff_driver(
    arguments: Annotated[list[str], typer.Argument(metavar="PATH OLD HASH MODE NEW HASH MODE", help="As git passes.")],
) -> None:
    """Show what `git diff` changes in a config by its meaning; git calls this.

    Set up by two lines: `conf/**/*.yaml diff=modelforge` in .gitattributes,
    and git config diff.modelforge.command "modelforge git-diff-driver".
    """
    answer("git_diff_driver:drive", arguments, plugins=False)


def _since(base_ref: str | None, *, changed_only: bool) -> str | None:
    """The revision that files are compared with; None where all are looked at."""
    if base_ref is not None and not changed_only:
        raise typer.BadParameter("--base-ref is for --changed-only")
    return (base_ref or "HEAD") if changed_only else None

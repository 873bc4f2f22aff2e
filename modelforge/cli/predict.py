"""predict: a run folder and a file of new data → what its model predicts, as CSV, Parquet or JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.report.columns import as_csv, plain
from modelforge.train.trained_run import load_run

FORMATS = (".csv", ".json", ".parquet")


def predict(run: Path, file: Path, output: Path | None, keep: Sequence[str], device: str) -> Answer:
    """Predicts from new data.

    Args:
        run: The folder of a run.
        file: New data of the kind that the run was trained on, targets not needed.
        output: Where the predictions go; None prints them.
        keep: Columns of a table of new data to put before the predictions, such as the target, where it is known.
        device: Where the model runs.

    Raises:
        ForgeError: the folder is not a run, the data cannot be read or encoded, or the output cannot be written.
    """
    if output is not None and output.suffix not in FORMATS:
        message = f"`{output}` must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        raise ForgeError([Problem("MF150", "--output", message)])
    loaded = load_run(run, device=device)
    new = loaded.read(file)
    predicted = loaded.predictions(new.part)
    number = len(next(iter(predicted.values())))
    kept = _kept(new.raw, keep, file)
    for name, values in kept.items():
        if len(values) != number:
            raise _wrong_keep(f"`{name}` has {plural(len(values), 'value')}, for {plural(number, 'prediction')}")
    columns = {**kept, **_beside(kept, predicted, file)}
    if output is None:
        return Answer(plain(columns), as_csv(columns), problems=new.warnings, is_data=True)
    _write(columns, output)
    said = f"{plural(number, 'prediction')} of {loaded.checkpoint} in {output}"
    data = {"output": str(output), "num_examples": number, "columns": list(columns)}
    return Answer(data, said + "\n", problems=new.warnings)


def _kept(raw: Any, keep: Sequence[str], file: Path) -> dict[str, Any]:
    """Columns of the new data that are to stand beside the predictions, as they are."""
    if not keep:
        return {}
    names = getattr(raw, "column_names", None) or (list(raw) if isinstance(raw, Mapping) else [])
    if unknown := [name for name in keep if name not in names]:
        known = f"it has {listed(names, 10, quote='`')}" if names else "it is not a table"
        raise _wrong_keep(f"`{file}` has no column `{unknown[0]}`", known)
    return {name: raw[name] for name in keep}


def _beside(kept: Collection[str], predicted: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The predictions; one whose name a kept column has, such as a known target, is called `predicted_NAME`."""
    others = {name: f"predicted_{name}" for name in predicted if name in kept}
    if taken := [name for name, other in others.items() if other in kept or other in predicted]:
        raise _wrong_keep(f"`{taken[0]}` is the name of a column of the predictions", f"rename it in `{file}`")
    return {others.get(name, name): values for name, values in predicted.items()}


def _wrong_keep(message: str, hint: str = "") -> ForgeError:
    return ForgeError([Problem("MF150", "--keep", message, hint)])


def _write(columns: Mapping[str, Any], output: Path) -> None:
    if output.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        buffer = pyarrow.BufferOutputStream()
        cells = {name: one.tolist() if getattr(one, "ndim", 1) > 1 else one for name, one in columns.items()}
        parquet.write_table(pyarrow.table(cells), buffer)
        write_atomically(output, buffer.getvalue().to_pybytes(), "--output")
    elif output.suffix == ".json":
        text = to_json(plain(columns), indent=2, inf_nan_mode="strings", fallback=str)
        write_atomically(output, text + b"\n", "--output")
    else:
        write_atomically(output, as_csv(columns), "--output")

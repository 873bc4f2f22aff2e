"""Texts with classes: tables and folders, vocabularies of the training part, padding, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source
from modelforge.train.data.sources.text_classification import HOW

pytest.importorskip("tokenizers", reason="the extra `text`")
pytestmark = pytest.mark.usefixtures("reviews")

GOOD, BAD = ("a fine film, really", "so good"), ("a dull film", "bad, bad plot")


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f'"{GOOD[row % 2]} {row}",good' if row % 3 else f'"{BAD[row % 2]} {row}",bad' for row in range(60)]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def texts(**fields: Any) -> Source:
    raw = {"type": "text_classification", "task": "classification", "path": "reviews.csv", "context": 6}
    raw |= {"num_classes": 2, "vocab_size": 40, **fields}
    raw["num_outputs"] = raw["num_classes"]
    return parse_source({**raw, "input": {"shape": [raw["context"]], "dtype": "int64"}})


def refused(call: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        call()
    return [(problem.key, problem.message, problem.hint) for problem in caught.value.problems]


def everything(examples: Any) -> np.ndarray:
    return np.concatenate([part.inputs for part in (examples.train, examples.val, examples.test)])


def test_words_are_numbered_by_the_training_part():
    examples = read(texts())
    assert examples.fitted["classes"] == ["bad", "good"]
    words = examples.fitted["tokenizer"]["model"]["vocab"]
    assert (words["[PAD]"], words["[UNK]"]) == (0, 1)
    assert len(words) == 40
    assert {"fine", "film", ",", "good", "bad"} <= {*words}
    assert all(part.inputs.dtype == np.int64 and part.inputs.shape[1] == 6 for part in (examples.train, examples.test))
    assert (everything(examples) == 1).any()  # numbers that only other parts have
    assert [len(part) for part in (examples.train, examples.val, examples.test)] == [42, 9, 9]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_at_its_side(side: str):
    source = texts(padding=side)
    inputs = source.encode(["so good", ""], read(source).fitted).inputs
    assert (inputs[0] != 0).tolist() == ([False] * 4 + [True] * 2 if side == "left" else [True] * 2 + [False] * 4)
    assert not inputs[1].any()


@pytest.mark.parametrize("ending", [".tsv", ".parquet"])
def test_other_tables_give_the_same(reviews: Path, ending: str):
    lines = [line.rpartition(",") for line in (reviews / "reviews.csv").read_text().splitlines()[1:]]
    columns = {"text": [text.strip('"') for text, _, _ in lines], "label": [label for _, _, label in lines]}
    if ending == ".tsv":
        rows = [f"{text}\t{label}" for text, label in zip(*columns.values(), strict=True)]
        (reviews / "reviews.tsv").write_text("text\tlabel\n" + "\n".join(rows))
    else:
        pyarrow, parquet = (
            pytest.importorskip(name, reason="the extra `train`") for name in ("pyarrow", "pyarrow.parquet")
        )
        parquet.write_table(pyarrow.table(columns), "reviews.parquet")
    one, other = read(texts()), read(texts(path=f"reviews{ending}"))
    assert np.array_equal(everything(one), everything(other))
    assert np.array_equal(one.test.targets, other.test.targets)


def folders(root: Path, *parts: str, number: int = 4) -> None:
    for part in parts:
        for name, written in (("good", GOOD), ("bad", BAD)):
            (root / part / name).mkdir(parents=True)
            for index in range(number):
                (root / part / name / f"{index}.txt").write_text(f"{written[index % 2]} {part}")


def test_a_folder_for_each_class_and_each_part(tmp_path: Path):
    folders(tmp_path / "all", "train", "test", number=10)
    examples = read(texts(path="all", split="folders"))
    assert [len(part) for part in (examples.train, examples.val, examples.test)] == [17, 3, 20]
    assert examples.test.targets.tolist() == [0] * 10 + [1] * 10
    assert len(read(texts(path="all/train")).train) == 14
    (tmp_path / "all" / "train" / "notes.md").write_text("")
    (warning,) = read(texts(path="all/train")).warnings
    assert warning.message.startswith("1 file in `all/train` lies in no class or does not end as texts do")
    with pytest.raises(mf.ForgeError, match="are not classes: each holds folders of the same names"):
        read(texts(path="all"))


def test_raw_test_texts_are_encoded_as_the_run_tested_on_them(tmp_path: Path):
    folders(tmp_path / "all", "train", "test", number=10)
    for source in (
        texts(path="all", split="folders"),
        texts(path="all", split="folders", level="tokens", vocab_size=300),
    ):
        examples = read(source)
        fitted = json.loads(json.dumps(examples.fitted))
        raw = source.raw(tmp_path / "all" / "test")
        encoded = source.encode(raw, fitted, labelled=True)
        assert np.array_equal(encoded.inputs, examples.test.inputs)
        assert np.array_equal(encoded.targets, examples.test.targets)
        plain = [path.read_text() for path in sorted((tmp_path / "all" / "test").rglob("*.txt"))]
        assert np.array_equal(source.encode(plain, fitted).inputs, examples.test.inputs)
        again = source.encode((plain, ["bad"] * 10 + ["good"] * 10), fitted, labelled=True)
        assert np.array_equal(again.targets, examples.test.targets)
    source = texts()
    fitted = read(source).fitted
    raw = source.raw(tmp_path / "reviews.csv")
    assert source.encode(raw, fitted, labelled=True).targets.tolist() == [int(row % 3 > 0) for row in range(60)]
    (tmp_path / "new.csv").write_text("more,text\n1,so good\n")
    assert np.array_equal(
        source.encode(source.raw(tmp_path / "new.csv"), fitted).inputs, source.encode(["so good"], fitted).inputs
    )


def test_what_cannot_be_encoded(tmp_path: Path):
    source = texts()
    fitted = read(source).fitted
    (tmp_path / "new.csv").write_text("more,text\n1,so good\n")
    raw = source.raw(tmp_path / "new.csv")
    message = "the texts have no classes: there is no column `label`"
    assert [one[1] for one in refused(lambda: source.encode(raw, fitted, labelled=True))] == [message]
    pair = (["a"], ["ugly"])
    expected = ("", "`ugly` is not a class of the run", "its classes: `bad` and `good`")
    assert refused(lambda: source.encode(pair, fitted, labelled=True)) == [expected]
    assert refused(lambda: source.encode(["a", 3], fitted))[0][1] == "text 2 is int, not text"
    (tmp_path / "new.csv").write_text("more\n1\n")
    assert refused(lambda: source.raw(tmp_path / "new.csv")) == [
        ("data.text", f"`{tmp_path}/new.csv` has no column `text`", "known: `more`")
    ]


@pytest.mark.parametrize(
    ("written", "problems"),
    [
        (
            "txt,lable\na,b\n",
            [
                ("data.text", "`table.csv` has no column `text`", "did you mean `txt`?"),
                ("data.label", "`table.csv` has no column `label`", "did you mean `lable`?"),
            ],
        ),
        ("text,label\na\n", [("data.path", "the header of `table.csv` names 2 columns, but line 2 has 1 value", HOW)]),
        ("text,label\na,\n", [("data.label", "row 1 of column `label` has no class", "leave the row out")]),
        (
            "text,label\na,1\nb,2\nc,3\n",
            [
                (
                    "data.num_classes",
                    "the target of `table.csv` has 3 classes, but `num_classes` is 2 (1, 2 and 3)",
                    "write `data.num_classes=3`",
                )
            ],
        ),
        ("text,label\n", [("data.path", "`table.csv` has no rows below its header", "")]),
        (
            'text,label\n"a,1\n',
            [
                (
                    "data.path",
                    "a quote opens in the row of line 2 of `table.csv` and is never closed",
                    "close it; a quote inside quotes is written twice",
                )
            ],
        ),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, written: str, problems: list[tuple[str, str, str]]):
    (tmp_path / "table.csv").write_text(written)
    assert refused(lambda: read(texts(path="table.csv"))) == problems


def test_files_that_are_no_tables(tmp_path: Path):
    (tmp_path / "table.json").write_text("{}")
    (tmp_path / "table.jsonl").write_text("{}")
    (tmp_path / "table.parquet").write_text("{}")
    (tmp_path / "empty").mkdir()
    assert refused(lambda: read(texts(path="table.json")))[0][1] == "`table.json` is neither a table nor a folder"
    hint = refused(lambda: read(texts(path="table.jsonl")))[0][2]
    assert hint.endswith("; pandas converts it: `read_json(..., lines=True).to_parquet('table.parquet')`")
    assert refused(lambda: read(texts(path="table.parquet")))[0][1].startswith("`table.parquet` cannot be read")
    assert refused(lambda: read(texts(path="empty")))[0][1] == "`empty` has no folders with texts"
    assert refused(lambda: read(texts(path="none.csv")))[0][1] == "there is no file `none.csv`"
    assert refused(lambda: read(texts(split="folders")))[0][0] == "data.split"
    assert refused(lambda: read(texts(max_bytes=10)))[0][0] == "data.max_bytes"


@pytest.mark.parametrize(
    ("fields", "where", "message"),
    [
        ({"tokenizer": "x.json"}, "tokenizer", "`tokenizer` is `x.json`, but `level` is 'words'"),
        ({"padding_id": 3}, "padding_id", "a learnt vocabulary has its padding at 0, but `padding_id` is 3"),
        (
            {"vocab_size": 2},
            "vocab_size",
            "the padding, the unknown word and a known one are 3 tokens, but `vocab_size` is 2",
        ),
        (
            {"level": "tokens", "vocab_size": 256},
            "vocab_size",
            "the padding and 256 bytes are 257 tokens, but `vocab_size` is 256",
        ),
    ],
)
def test_settings_that_contradict_each_other(fields: dict[str, Any], where: str, message: str):
    with pytest.raises(ValidationError) as caught:
        texts(**fields)
    assert [(detail["loc"], detail["msg"]) for detail in caught.value.errors()] == [((where,), message)]


def test_a_tokenizer_in_a_file_says_which_token_pads():
    library = pytest.importorskip("tokenizers", reason="the extra `text`")
    words = {"good": 0, "bad": 1, "[UNK]": 2, "<pad>": 3}
    tokenizer = library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.save("tokenizer.json")
    fields = {"level": "tokens", "tokenizer": "tokenizer.json"}
    assert refused(lambda: read(texts(**fields, vocab_size=2))) == [
        (
            "data.vocab_size",
            "`tokenizer.json` has 4 tokens, but `vocab_size` is 2",
            "write `data.vocab_size=4 data.padding_id=3`",
        ),
        (
            "data.padding_id",
            "`tokenizer.json` has its padding at 3, but `padding_id` is 0",
            "write `data.vocab_size=4 data.padding_id=3`",
        ),
    ]
    source = texts(**fields, padding_id=3, vocab_size=4)
    assert source.encode(["bad good film"], read(source).fitted).inputs.tolist() == [[1, 0, 2, 3, 3, 3]]
    del words["<pad>"]
    library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]")).save("tokenizer.json")
    ((_, message, hint),) = refused(lambda: read(texts(**fields, vocab_size=4)))
    assert message == "`tokenizer.json` has no token for padding, and `padding_id` 0 is another token"
    assert hint == "write `data.padding_id=3 data.vocab_size=4`"


@pytest.mark.parametrize(("context", "fits"), [(1, False), (2, False), (3, True)])
def test_a_context_has_room_for_more_than_the_special_tokens(context: int, fits: bool):
    library = pytest.importorskip("tokenizers", reason="the extra `text`")
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4}
    tokenizer = library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save("tokenizer.json")
    source = texts(level="tokens", tokenizer="tokenizer.json", context=context)
    if fits:
        assert {*map(tuple, everything(read(source)).tolist())} == {(2, 4, 3), (2, 1, 3)}
    else:
        message = f"`tokenizer.json` puts 2 tokens of its own into each text, and `context` is {context}"
        found = ("data.context", f"{message}: no room is left", "write `data.context=3`, or more")
        assert refused(lambda: read(source)) == [found]


@pytest.mark.parametrize("model", ["bag_of_words", "bert"])
def test_a_run_learns_which_words_matter(train, model: str):
    data = ("data=text_classification", "data.path=reviews.csv", "data.context=8", "data.vocab_size=60")
    result = train(f"model={model}", *data, "trainer.max_epochs=12", "optimizer.lr=0.01")
    assert result.exit_code == 0, result.status.error
    assert result.status.metrics["test/accuracy"] == 1


def test_a_run_predicts_from_raw_texts_what_it_reported(train, reviews: Path, tmp_path: Path):
    folders(tmp_path / "all", "train", "test", number=10)
    data = ("model=bag_of_words", "data.path=all", "data.split=folders", "data.context=8", "data.vocab_size=40")
    result = train(*data, "trainer.max_epochs=3", "optimizer.lr=0.01")
    assert result.exit_code == 0, result.status.error
    run = mf.load_run(tmp_path / "run")
    found = run.evaluate({"path": str(tmp_path / "all" / "test")}).metrics
    assert found["accuracy"] == result.status.metrics["test/accuracy"]
    assert found["loss"] == pytest.approx(result.status.metrics["test/loss"], rel=1e-6)
    predicted = run.predict(["a fine film", "bad"])
    assert {*predicted["prediction"]} <= {"good", "bad"}
    raw = run.source.raw(tmp_path / "all" / "test")
    assert (raw.column_names, list(raw["label"])) == (("text", "label"), ["bad"] * 10 + ["good"] * 10)


def test_workers_after_a_tokenizer_are_silent(train, capfd: pytest.CaptureFixture[str]):
    data = ("model=bag_of_words", "data.path=reviews.csv", "data.context=8", "data.vocab_size=60")
    assert train(*data, "data.num_workers=1").exit_code == 0
    assert "fork" not in capfd.readouterr().err


def test_any_column_of_a_table_of_texts_can_be_kept(tmp_path: Path):
    table = tmp_path / "new.csv"
    table.write_text("id,words\n7,good\n8,bad\n", encoding="utf-8")
    raw: Any = texts(text="words").raw(table)
    assert raw.column_names == ("id", "words")
    assert raw["id"].to_pylist() == ["7", "8"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("one text", "texts must be a list, but are str"),
        (None, "texts must be a list, but are NoneType"),
        (["\ud800"], "text 1 has half of a surrogate pair, which is not Unicode"),
        ({"words": ["a"]}, "the new data has no column `text`"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(given: Any, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        texts().encode(given, {})
    assert caught.value.problems[0].message == message

"""review.yaml: accepted changes with reason and author, and further compositions."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.acceptances import read_acceptances
from modelforge.review.document import Document
from modelforge.review.documented import documented
from tests.review.trees import edit, review, side

ENTRY = "  - {{fingerprint: {}, reason: as agreed, author: me}}\n"


def accept(*fingerprints: str, folder: str = "conf") -> None:
    Path(folder, "review.yaml").write_text("accept:\n" + "".join(map(ENTRY.format, fingerprints)))


def reviewed() -> Document:
    given = read_acceptances(side("old"), side("conf"))
    return documented(review("old", "conf", further=given.entries), given)


def test_an_accepted_change_has_reason_and_author(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    (change,) = [change for change in reviewed().changes if change.kind == "init-changed"]
    accept(change.fingerprint)
    found = reviewed()
    (accepted,) = found.accepted
    assert accepted.accepted is not None
    assert (accepted.fingerprint, accepted.accepted.reason) == (change.fingerprint, "as agreed")
    assert accepted.accepted.arrives
    assert found.verdict.endswith("1 change accepted here")


def test_an_acceptance_of_the_old_side_is_told_from_one_that_the_change_brings(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    first, second = (change.fingerprint for change in reviewed().changes[:2])
    accept(first, folder="old")
    accept(first, second)
    found = reviewed()
    assert {change.fingerprint: change.accepted and change.accepted.arrives for change in found.accepted} == {
        first: False,
        second: True,
    }
    assert found.verdict.endswith("2 changes accepted, 1 of them here")


def test_an_acceptance_that_fits_nothing_is_an_error_with_a_place(trees: Path):
    accept("0123456789ab")
    changes, problems = read_acceptances(side("old"), side("conf")).unused([])
    (change,), (problem,) = changes, problems
    assert (change.kind, change.severity) == ("acceptance-unused", "error")
    assert (problem.code, str(problem.place)) == ("MF075", "conf/review.yaml:2:19")


def test_one_that_the_old_side_has_as_well_is_left_over(trees: Path):
    accept("0123456789ab")
    accept("0123456789ab", folder="old")
    changes, problems = read_acceptances(side("old"), side("conf")).unused([])
    assert [change.severity for change in changes] == ["info"]
    assert problems == []


def test_further_compositions_are_compared(trees: Path):
    edit("conf/init/zeros.yaml", "zeros", "ones")
    Path("conf/review.yaml").write_text('entries: ["model=deep init=zeros"]\n')
    assert "model=deep init=zeros" in reviewed().compared.entries


def test_the_file_itself_is_no_config_and_no_change(trees: Path):
    Path("conf/review.yaml").write_text("entries: []\n")
    found = reviewed()
    assert found.equal
    assert not any("review" in label for label in found.compared.entries)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("accept: [{fingerprint: 0123456789ab, reason: r}]\n", "MF011", "needs the key `author`"),
        ("accept: [{fingerprint: x, reason: r, author: a}]\n", "MF014", "`fingerprint`"),
        ("accept: [{fingerprint: 0123456789ab, reason: r, author: a, more: 1}]\n", "MF015", "has no key `more`"),
        ("accept: 1\n", "MF014", "`accept` must be a list"),
        ("acept: []\n", "MF015", "`review.yaml` has no key `acept`"),
        ("accept: [\n", "MF002", ""),
    ],
)
def test_a_wrong_file_is_refused_with_a_place(trees: Path, text: str, code: str, said: str):
    Path("conf/review.yaml").write_text(text)
    with pytest.raises(ForgeError) as caught:
        read_acceptances(side("old"), side("conf"))
    (problem,) = caught.value.problems
    assert problem.code == code
    assert said in problem.message
    assert problem.place is not None
    assert problem.place.file == "conf/review.yaml"


def test_a_change_cannot_take_compositions_out_of_its_review(trees: Path):
    Path("old/review.yaml").write_text("entries: ['init=zeros model=deep', 3]\n")
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: 3")
    assert "init=zeros model=deep" in reviewed().compared.entries
    Path("conf/review.yaml").write_text("entries: ['model=deep seed=1']\n")
    assert read_acceptances(side("old"), side("conf")).entries == ("model=deep seed=1", "init=zeros model=deep")


def test_an_option_goes_together_with_its_composition(trees: Path):
    Path("old/review.yaml").write_text("entries: ['init=zeros model=deep']\n")
    Path("conf/review.yaml").write_text("entries: []\n")
    Path("conf/init/zeros.yaml").unlink()
    found = reviewed()
    assert "init=zeros model=deep" in found.compared.entries
    assert {change.severity for change in found.changes} <= {"info", "warning"}
    assert not [change.kind for change in found.changes if "broken" in change.kind]

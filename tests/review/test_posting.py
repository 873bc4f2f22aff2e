"""A workflow's event and artifact in, a comment out; nothing that the artifact says is believed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from modelforge.core.errors import Refusal
from modelforge.review import github
from modelforge.review.__main__ import main
from modelforge.review.posting import MAX_DOCUMENT_BYTES, SKIP_LABEL, Posted, Run, post, read_document
from tests.review.test_document import SMALL

ROOT = Path(__file__).parents[2]
SHA = "0123456789abcdef0123456789abcdef01234567"
EVENT: dict[str, Any] = {
    "repository": {"full_name": "owner/project"},
    "workflow_run": {
        "event": "pull_request",
        "head_repository": {"full_name": "stranger/project"},
        "head_branch": "feature",
        "head_sha": SHA,
        "html_url": "https://github.com/owner/project/actions/runs/1",
    },
}
PULL: dict[str, Any] = {"number": 7, "labels": [], "head": {"sha": SHA, "repo": {"full_name": "stranger/project"}}}
MARKER = "<!-- modelforge-review:default -->"


class Fake:
    """GitHub with some pull requests and comments; what is sent is kept."""

    def __init__(self, pulls: list[Any], comments: list[Any]) -> None:
        self.pulls, self.comments = pulls, comments
        self.sent: list[tuple[str, str, str]] = []

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        if path == "/repos/owner/project/pulls":
            assert query["head"] == "stranger:feature"
            return self.pulls
        assert path == "/repos/owner/project/issues/7/comments"
        start = 100 * (int(query["page"]) - 1)
        return self.comments[start : start + 100]

    def send(self, method: str, path: str, data: Mapping[str, str]) -> Any:
        self.sent.append((method, path, data["body"]))


def comment(number: int, body: str, login: str = "github-actions[bot]") -> dict[str, Any]:
    return {"id": number, "body": body, "user": {"login": login}}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "review.json").write_text(json.dumps(SMALL))
    return tmp_path


def posted(artifact: Path, *comments: Any, pulls: Any = (PULL,), tag: str = "default") -> tuple[Posted, Fake]:
    api = Fake(list(pulls), list(comments))
    return post(EVENT, artifact, api, tag), api


def test_a_first_review_is_a_comment(artifact: Path):
    done, api = posted(artifact, comment(1, "hello", "someone"))
    ((method, path, body),) = api.sent
    assert (method, path) == ("POST", "/repos/owner/project/issues/7/comments")
    assert body == done.body
    assert body.startswith(f"{MARKER}\n### `main` → `HEAD`\n\n**1 layer added.**")
    assert body.endswith("commit `0123456789ab`, [the run](https://github.com/owner/project/actions/runs/1)</sub>\n")


def test_a_later_review_updates_it(artifact: Path):
    others = [comment(index, "x") for index in range(150)]
    _, api = posted(artifact, *others, comment(999, f"{MARKER}\nold"))
    assert [(method, path) for method, path, _ in api.sent] == [("PATCH", "/repos/owner/project/issues/comments/999")]


def test_the_comment_of_another_is_never_changed(artifact: Path):
    _, api = posted(artifact, comment(3, f"{MARKER}\nmine", "stranger"))
    assert [method for method, _, _ in api.sent] == ["POST"]


def test_reviews_with_other_tags_have_comments_of_their_own(artifact: Path):
    _, api = posted(artifact, comment(3, f"{MARKER}\nold"), tag="other")
    ((method, _, body),) = api.sent
    assert method == "POST"
    assert body.startswith("<!-- modelforge-review:other -->")


def test_nothing_is_said_of_nothing_but_a_comment_that_is_there_is_updated(artifact: Path):
    equal = {**SMALL, "equal": True, "verdict": "no semantic change: a.yaml differs", "changes": [], "pictures": []}
    (artifact / "review.json").write_text(json.dumps(equal))
    assert posted(artifact)[1].sent == []
    _, api = posted(artifact, comment(3, f"{MARKER}\nold"))
    ((method, _, body),) = api.sent
    assert method == "PATCH"
    assert "**No semantic change: `a.yaml` differs.**" in body or "No semantic change: a.yaml differs" in body


def test_of_two_pull_requests_of_one_commit_the_event_names_one(artifact: Path):
    other = {**PULL, "number": 8}
    with pytest.raises(Refusal, match=r"several open pull requests have this commit \(#8, #7\)"):
        posted(artifact, pulls=[other, PULL])
    event = {**EVENT, "workflow_run": {**EVENT["workflow_run"], "pull_requests": [{"number": 7}]}}
    assert post(event, artifact, Fake([other, PULL], [])).outcome == "commented on #7"


@pytest.mark.parametrize("answer", [{"message": "no"}, None, "x", [1]])
def test_an_answer_that_is_no_list_is_refused(artifact: Path, answer: Any):
    api = Fake([], [])
    api.pulls = answer
    with pytest.raises(Refusal, match="GitHub's answer is not a list"):
        post(EVENT, artifact, api)


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "`GITHUB_EVENT_PATH` is not set"), ({"GITHUB_EVENT_PATH": "event.json"}, "the event is not JSON")],
)
def test_outside_of_a_workflow_it_says_what_is_missing(
    artifact: Path,
    variables: dict[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(artifact)
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    Path("event.json").write_text("{", encoding="utf-8")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["post", "--artifact", str(artifact)]) == 1
    assert said in capsys.readouterr().err


def test_an_answer_that_is_no_json_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(github, "urlopen", lambda request, timeout: BytesIO(b"<html>"))
    with pytest.raises(Refusal, match="GitHub's answer is not JSON"):
        github.GitHub("https://example.com", "token").get("/x", {})


def test_the_label_skips_it(artifact: Path):
    done, api = posted(artifact, pulls=[{**PULL, "labels": [{"name": SKIP_LABEL}]}])
    assert api.sent == []
    assert SKIP_LABEL in done.outcome


@pytest.mark.parametrize(
    "pull",
    [
        {**PULL, "head": {"sha": "f" * 40, "repo": {"full_name": "stranger/project"}}},
        {**PULL, "head": {"sha": SHA, "repo": {"full_name": "another/project"}}},
        {**PULL, "head": {"sha": SHA, "repo": None}},
    ],
)
def test_only_a_pull_request_of_this_commit_is_commented(artifact: Path, pull: Any):
    """An older run ends after a newer one; a branch of the same name belongs to another fork."""
    assert posted(artifact, pulls=[pull])[1].sent == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({**SMALL, "verdict": "x" * 1000}).encode(),
        json.dumps({**SMALL, "html": "<img src=x>"}).encode(),
        json.dumps({**SMALL, "format_version": "9.0"}).encode(),
        json.dumps({**SMALL, "changes": [{"kind": "@everyone"}]}).encode(),
        b'{"old": "\\ud800"}',
        b'{"a": NaN}',
        b" " * (MAX_DOCUMENT_BYTES + 1),
    ],
)
def test_a_poisoned_artifact_is_refused_and_not_quoted(artifact: Path, content: bytes):
    (artifact / "review.json").write_bytes(content)
    done, api = posted(artifact)
    ((_, _, body),) = api.sent
    assert done.refused
    assert body.startswith(f"{MARKER}\n### The configs were not reviewed\n\nThe review of the run ")
    assert not any(word in body for word in ("everyone", "img", "xxxx"))


def test_an_artifact_that_is_no_file_is_refused(artifact: Path):
    (artifact / "review.json").unlink()
    with pytest.raises(Refusal, match="left no review"):
        read_document(artifact / "review.json")
    (artifact / "review.json").symlink_to("/etc/hostname")
    with pytest.raises(Refusal, match="is a link"):
        read_document(artifact / "review.json")


def test_hostile_texts_in_a_valid_document_are_escaped(artifact: Path):
    evil = "@everyone ![x](http://evil) <b> <!-- modelforge-review:other -->"
    change = {**SMALL["changes"][0], "title": evil, "follows": evil}
    (artifact / "review.json").write_text(json.dumps({**SMALL, "verdict": evil, "notes": [evil], "changes": [change]}))
    ((_, _, body),) = posted(artifact)[1].sent
    assert "@everyone" not in body
    assert "`![x](http://evil`)" in body
    assert "<!--" not in body.removeprefix(MARKER).replace("`<!--`", "")


def test_a_long_review_fits_a_comment(artifact: Path):
    change = {**SMALL["changes"][0], "title": "x" * 400}
    (artifact / "review.json").write_text(json.dumps({**SMALL, "changes": [change] * 2000}))
    ((_, _, body),) = posted(artifact)[1].sent
    assert len(body) <= 60_000


@pytest.mark.parametrize(
    "event",
    [
        {},
        None,
        {**EVENT, "workflow_run": {**EVENT["workflow_run"], "event": "push"}},
        {**EVENT, "repository": {"full_name": "../../x"}},
        {**EVENT, "workflow_run": {**EVENT["workflow_run"], "head_sha": "main"}},
    ],
)
def test_an_event_of_another_kind_is_refused(event: Any):
    with pytest.raises(Refusal):
        Run.of(event)


def test_a_tag_that_would_end_the_marker_is_refused(artifact: Path):
    with pytest.raises(Refusal, match="the tag must be"):
        posted(artifact, tag="--> <b>")


def test_no_step_imports_from_the_checkout_of_a_pull_request():
    """Without `-I`, `python -m` looks for modules in the working folder first."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / ".github").rglob("*.yml"))]
    calls = [options for text in texts for options in re.findall(r"python\"?((?: -\w+)*) -m modelforge", text)]
    assert calls == [" -I"] * 5


def test_the_job_needs_neither_torch_nor_hydra(artifact: Path):
    """Its environment holds this package and Pydantic: less code beside the token."""
    program = (
        "import sys\n"
        "from modelforge.review.__main__ import main\n"
        "status = main(['render', sys.argv[1]])\n"
        "heavy = {'torch', 'hydra', 'omegaconf', 'yaml', 'rich', 'typer', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'{heavy}' if heavy else status)\n"
    )
    command = [sys.executable, "-c", program, str(artifact / "review.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("### `main` → `HEAD`")

"""post: a workflow run's event and its artifact → one comment on the pull request, written or updated.

This runs with a token that may write, on what a stranger's job left behind. So nothing of the artifact is believed:
which pull request it is comes from the event and from GitHub, and the text is made here, of a validated `Document`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from modelforge._version import __version__
from modelforge.core.errors import Refusal
from modelforge.core.regular_files import read_text
from modelforge.review.document import MAX_DOCUMENT_BYTES, Document
from modelforge.review.formats.escapes import code
from modelforge.review.formats.markdown import MAX_CHARACTERS, markdown

ARTIFACT = "review.json"
SKIP_LABEL = "modelforge skip review"
BOT = "github-actions[bot]"
MAX_PAGES = 30
"""Pages of a hundred comments that are looked through."""
_TAG = re.compile(r"[A-Za-z0-9._-]{1,50}")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_HASH = re.compile(r"[0-9a-f]{40}")


class Api(Protocol):
    """GitHub's REST interface, as far as it is used."""

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """What is at a path."""
        ...

    def send(self, method: str, path: str, data: Mapping[str, str]) -> Any:
        """Creates or changes what is at a path."""
        ...


@dataclass(frozen=True)
class Run:
    """The workflow run that computed a review, as GitHub's event tells it."""

    repository: str
    head_repository: str
    head_branch: str
    head_sha: str
    url: str
    numbers: tuple[int, ...] = ()
    """The pull requests that GitHub says it is of; none for a fork's."""

    @classmethod
    def of(cls, event: Any) -> Run:
        """Reads a `workflow_run` event.

        Raises:
            Refusal: it is no such event, or not of a pull request.
        """
        try:
            run = event["workflow_run"]
            found = cls(
                repository=str(event["repository"]["full_name"]),
                head_repository=str(run["head_repository"]["full_name"]),
                head_branch=str(run["head_branch"]),
                head_sha=str(run["head_sha"]),
                url=str(run["html_url"]),
                numbers=tuple(int(pull["number"]) for pull in run.get("pull_requests") or ()),
            )
            kind = run["event"]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refusal("this is not a `workflow_run` event") from None
        names = (found.repository, found.head_repository)
        if not (all(map(_NAME.fullmatch, names)) and _HASH.fullmatch(found.head_sha)):
            raise Refusal("the event names no repository and commit")
        if kind != "pull_request":
            raise Refusal(f"the run was started by `{kind}`, and not by a pull request")
        return found


@dataclass(frozen=True)
class Posted:
    """What was done."""

    outcome: str
    """In words."""
    body: str = ""
    """The comment; empty where there is none."""
    refused: bool = False
    """Whether the artifact was refused."""


def post(event: Any, artifact: Path, api: Api, tag: str = "default", author: str = BOT) -> Posted:
    """Writes or updates the one comment with a tag on the pull request that a run belongs to.

    Args:
        event: The `workflow_run` event.
        artifact: The folder that the artifact was unpacked in.
        api: GitHub.
        tag: Tells the comments of several reviews apart.
        author: Who writes the comments: those of others are never changed.

    Raises:
        Refusal: the event or the tag cannot be used.
    """
    if not _TAG.fullmatch(tag):
        raise Refusal(f"the tag must be of letters, digits, `.`, `_` and `-`, but is `{tag}`")
    run = Run.of(event)
    pull = _pull_request(run, api)
    if pull is None:
        return Posted("no open pull request has this commit as its newest")
    if SKIP_LABEL in [str(label.get("name")) for label in pull.get("labels", [])]:
        return Posted(f"the label `{SKIP_LABEL}` skips the review")
    document, refused = None, ""
    try:
        document = read_document(artifact / ARTIFACT)
    except Refusal as refusal:
        refused = refusal.reason
    text = body(document, run, tag, refused)
    number = int(pull["number"])
    known = _comment(run, number, tag, author, api)
    if known is None and document is not None and document.equal:
        return Posted("no semantic change, and no comment that would say otherwise")
    issues = f"/repos/{run.repository}/issues"
    if known is None:
        api.send("POST", f"{issues}/{number}/comments", {"body": text})
        return Posted(f"commented on #{number}", text, bool(refused))
    api.send("PATCH", f"{issues}/comments/{known}", {"body": text})
    return Posted(f"updated the comment on #{number}", text, bool(refused))


def read_document(file: Path) -> Document:
    """Reads the document of another job.

    Raises:
        Refusal: it is not there, no regular file, too large, or no document; nothing of it is quoted.
    """
    try:
        if file.is_symlink():
            raise Refusal("the review of the run is a link")
        text = read_text(file, MAX_DOCUMENT_BYTES)
    except FileNotFoundError:
        raise Refusal("the run left no review") from None
    except (OSError, ValueError):
        raise Refusal("the review of the run is not a regular file, too large, or not UTF-8") from None
    try:
        return Document.model_validate_json(text)
    except (ValidationError, RecursionError):
        raise Refusal("the review of the run does not fit its schema") from None


def body(document: Document | None, run: Run, tag: str, refused: str = "") -> str:
    """The comment: a hidden marker, the review, and what it is of."""
    last = f"\n<sub>modelforge {__version__}, commit {code(run.head_sha[:12])}, [the run]({_url(run)})</sub>\n"
    marker = f"{_marker(tag)}\n"
    room = MAX_CHARACTERS - len(last) - len(marker)
    if document is None:
        text = f"### The configs were not reviewed\n\n{refused[:1].upper()}{refused[1:]}.\n"
    else:
        text = markdown(document, room)
    return f"{marker}{text}{last}"


def _marker(tag: str) -> str:
    return f"<!-- modelforge-review:{tag} -->"


def _url(run: Run) -> str:
    """The address of the run; of anything else than such an address nothing."""
    return run.url if re.fullmatch(r"https://[\w./-]{1,300}", run.url) else "#"


def _pull_request(run: Run, api: Api) -> dict[str, Any] | None:
    """The open pull request whose newest commit the run was of."""
    owner = run.head_repository.partition("/")[0]
    query = {"state": "open", "head": f"{owner}:{run.head_branch}", "per_page": "100"}
    found = [pull for pull in _listed(api.get(f"/repos/{run.repository}/pulls", query)) if _is_of(pull, run)]
    named = [pull for pull in found if pull.get("number") in run.numbers] or found
    if len(named) > 1:
        numbers = ", ".join(f"#{pull.get('number')}" for pull in named)
        raise Refusal(f"several open pull requests have this commit ({numbers}), and the event does not say which")
    return next(iter(named), None)


def _is_of(pull: Mapping[str, Any], run: Run) -> bool:
    head = pull.get("head") or {}
    return head.get("sha") == run.head_sha and (head.get("repo") or {}).get("full_name") == run.head_repository


def _listed(answer: Any) -> list[dict[str, Any]]:
    """What GitHub lists."""
    if not (isinstance(answer, list) and all(isinstance(one, dict) for one in answer)):
        raise Refusal("GitHub's answer is not a list")
    return answer


def _comment(run: Run, number: int, tag: str, author: str, api: Api) -> int | None:
    """The comment that an earlier run wrote."""
    for comment in _comments(run, number, api):
        own = (comment.get("user") or {}).get("login") == author
        if own and str(comment.get("body", "")).startswith(_marker(tag)):
            return int(comment["id"])
    return None


def _comments(run: Run, number: int, api: Api) -> Iterator[dict[str, Any]]:
    for page in range(1, MAX_PAGES + 1):
        path = f"/repos/{run.repository}/issues/{number}/comments"
        found = _listed(api.get(path, {"per_page": "100", "page": str(page)}))
        yield from found
        if len(found) < 100:
            return

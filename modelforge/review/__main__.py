"""`python -m modelforge.review`: what a workflow does with the document of a review, with Pydantic and nothing else.

`render FILE --format markdown` prints it; `job FILE` writes a job's summary and annotations; `post --artifact DIR`
writes the comment on the pull request.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelforge.core.errors import Refusal
from modelforge.core.quoting import printable
from modelforge.review.formats import FORMATS
from modelforge.review.github import GitHub, read_json
from modelforge.review.posting import BOT, post, read_document


def main(arguments: Sequence[str] | None = None) -> int:
    """Renders or posts a review; the exit status is 1 where it is refused."""
    parser = argparse.ArgumentParser(prog="python -m modelforge.review", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    render = commands.add_parser("render", help="print a review in another format")
    render.add_argument("file", type=Path)
    render.add_argument("--format", choices=tuple(FORMATS), default="markdown")
    job = commands.add_parser("job", help="write a review into the summary of a job, and print its annotations")
    job.add_argument("file", type=Path)
    posting = commands.add_parser("post", help="write or update the comment on the pull request of a workflow run")
    posting.add_argument("--artifact", type=Path, required=True, help="the folder of the artifact")
    posting.add_argument("--tag", default="default")
    posting.add_argument("--author", default=BOT)
    given = parser.parse_args(arguments)
    try:
        if given.command == "render":
            sys.stdout.write(FORMATS[given.format](read_document(given.file)))
            return 0
        if given.command == "job":
            document = read_document(given.file)
            _summarize(FORMATS["markdown"](document))
            sys.stdout.write(FORMATS["github"](document))
            return 0
        event = read_json(Path(_variable("GITHUB_EVENT_PATH")).read_bytes(), "the event")
        api = GitHub(os.environ.get("GITHUB_API_URL", "https://api.github.com"), _variable("GITHUB_TOKEN"))
        done = post(event, given.artifact, api, given.tag, given.author)
    except (Refusal, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    print(printable(done.outcome))
    _summarize(done.body or f"{done.outcome}\n")
    return int(done.refused)


def _variable(name: str) -> str:
    """A variable of the environment."""
    if not (found := os.environ.get(name)):
        raise Refusal(f"the variable `{name}` is not set: this runs in a workflow of GitHub's")
    return found


def _summarize(text: str) -> None:
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    sys.exit(main())

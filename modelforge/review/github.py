"""GitHub: its REST interface, as far as a comment on a pull request needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from modelforge.core.errors import Refusal

MAX_ANSWER = 20_000_000
"""Bytes of one answer of GitHub."""
TIMEOUT = 30
"""Seconds."""


class GitHub:
    """GitHub's REST interface, with the token of the workflow."""

    def __init__(self, address: str, token: str) -> None:
        if not address.startswith("https://"):
            raise Refusal("the address of GitHub must begin with `https://`")
        self._address, self._token = address, token

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """What is at a path."""
        return self._call(Request(f"{self._address}{path}?{urlencode(query)}"))

    def send(self, method: str, path: str, data: Mapping[str, str]) -> Any:
        """Creates or changes what is at a path."""
        return self._call(Request(f"{self._address}{path}", json.dumps(data).encode(), method=method))

    def _call(self, request: Request) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/vnd.github+json"}
        for name, value in headers.items():
            request.add_header(name, value)
        with urlopen(request, timeout=TIMEOUT) as answer:
            return read_json(answer.read(MAX_ANSWER), "GitHub's answer")


def read_json(text: bytes, what: str) -> Any:
    """Reads JSON.

    Raises:
        Refusal: it is none; nothing of it is quoted.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal(f"{what} is not JSON") from None

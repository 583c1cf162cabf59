# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the test vectors against a reading of docs/protocol.md that shares no code with the Rust crate.

`cargo xtask test --only python` runs it. It is written for the vectors, not for speed or for use, with the standard
library alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DEFAULT_LIMIT = 64 * 1024 * 1024
BLANK = b" \t\r\n\0"
FEATURES = ["stream", "session", "undo", "rollback", "changes", "consent", "immediate_control"]
CODES = [
    *("bad_frame", "bad_request", "too_large", "unauthorized", "forbidden", "version_mismatch", "busy", "timeout"),
    *("cancelled", "python_exception", "not_found", "shutting_down", "dropped"),
]


class TooLargeError(Exception):
    """The message cannot end within the limit."""


class Splitter:
    """Section 2: finds messages in a stream."""

    def __init__(self, limit: int) -> None:
        self.limit, self.rest, self.nul_only, self.after_line = limit, b"", False, False

    def feed(self, piece: bytes) -> list[list[str]]:
        self.rest += piece
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> list[str] | None:
        if self.after_line and self.rest:
            self.after_line = False
            if self.rest[:1] == b"\0":
                self.rest, self.nul_only = self.rest[1:], True
                return ["", "nul"]
        self.rest = self.rest.lstrip(BLANK)
        end = self._end()
        if (len(self.rest) if end is None else end) > self.limit:
            raise TooLargeError
        if end is None:
            return None
        text, mark, self.rest = self.rest[:end], self.rest[end : end + 1], self.rest[end + 1 :]
        if mark == b"\n" and self.rest[:1] == b"\0":
            mark, self.rest = b"\0", self.rest[1:]
        self.nul_only = self.nul_only or mark == b"\0"
        self.after_line = mark == b"\n"
        return [text.decode("latin-1"), "nul" if mark == b"\0" else "newline"]

    def _end(self) -> int | None:
        depth, in_string, escaped = 0, False, False
        closed = self.rest[:1] != b"{"
        for at, byte in enumerate(self.rest):
            char = chr(byte)
            if char == "\0" or (closed and char == "\n" and not self.nul_only):
                return at
            if closed:
                continue
            if in_string:
                escaped, in_string = char == "\\" and not escaped, char != '"' or escaped
            elif char == '"':
                in_string = True
            else:
                depth += (char in "{[") - (char in "}]")
                closed = depth == 0
        return None


class RefusedError(Exception):
    """A message that is no request: its code, and words that must be in the message."""

    def __init__(self, code: str, key: str = "") -> None:
        super().__init__(code, key)
        self.code, self.key = code, key


def read_request(raw: bytes) -> dict[str, Any]:
    """Section 3: the request with its keys, those at their defaults left out."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=lambda _: 1 / 0)
    except (UnicodeDecodeError, ValueError, ZeroDivisionError):
        raise RefusedError("bad_frame") from None
    if not isinstance(value, dict):
        raise RefusedError("bad_frame")
    keys = {key: one for key, one in value.items() if one is not None}
    request = {"id": keys["id"]} if "id" in keys else {}
    need("id" not in keys or (isinstance(keys["id"], int | str) and not isinstance(keys["id"], bool)), "id")
    kind = keys.get("type")
    need(isinstance(kind, str), "type")
    readers = {"execute": execute, "hello": hello, "undo": steps, "redo": steps, "cancel": target, "outcome": target}
    readers["consent"] = consent
    if kind not in readers:
        need(kind in ("status", "ping"), "type")
    return {"type": kind, **request, **readers.get(str(kind), lambda _: {})(keys)}


def need(holds: bool, key: str) -> None:
    if not holds:
        raise RefusedError("bad_request", key)


def execute(keys: dict[str, Any]) -> dict[str, Any]:
    need(isinstance(keys.get("code"), str), "code")
    request = {"code": keys["code"]}
    if "timeout_secs" in keys:
        limit = keys["timeout_secs"]
        need(isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0, "timeout_secs")
        request["timeout_secs"] = limit
    for key in ("stream", "echo", "changes"):
        need(isinstance(keys.get(key, False), bool), key)
        request |= {key: True} if keys.get(key) else {}
    need(isinstance(keys.get("undo_step", True), bool), "undo_step")
    request |= {"undo_step": False} if keys.get("undo_step") is False else {}
    for key in ("title", "session"):
        if key in keys:
            need(isinstance(keys[key], str) and bool(keys[key].strip()) and len(keys[key]) <= 200, key)
            request[key] = keys[key]
    need(keys.get("on_error", "keep") in ("keep", "rollback"), "on_error")
    return request | ({"on_error": "rollback"} if keys.get("on_error") == "rollback" else {})


def consent(keys: dict[str, Any]) -> dict[str, Any]:
    target(keys)
    need(keys.get("answer") in ("once", "session", "never"), "answer")
    return {"answer": keys["answer"]}


def hello(keys: dict[str, Any]) -> dict[str, Any]:
    version, names = keys.get("protocol_version"), keys.get("features", [])
    need(isinstance(version, int) and not isinstance(version, bool), "protocol_version")
    if version != 1:
        raise RefusedError("version_mismatch")
    need(isinstance(names, list) and all(isinstance(name, str) for name in names), "features")
    asked = {"features": [name for name in dict.fromkeys(names) if name in FEATURES]}
    if "token" not in keys:
        return asked
    token = keys["token"]
    if not (isinstance(token, str) and 32 <= len(token) <= 512 and all("!" <= sign <= "~" for sign in token)):
        raise RefusedError("unauthorized")
    return asked | {"token": token}


def steps(keys: dict[str, Any]) -> dict[str, Any]:
    count = keys.get("steps", 1)
    need(isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 1000, "steps")
    return {"steps": count}


def target(keys: dict[str, Any]) -> dict[str, Any]:
    need("id" in keys, "id")
    return {}


def check_frames(entry: dict[str, Any]) -> None:
    splitter = Splitter(entry.get("limit", DEFAULT_LIMIT))
    found, is_too_large = [], False
    for piece in entry["pieces"]:
        try:
            found.append(splitter.feed(piece.encode("latin-1")))
        except TooLargeError:
            found.append([])
            is_too_large = True
    assert found == entry["frames"], found
    assert is_too_large == entry.get("too_large", False)


def check_requests(entry: dict[str, Any]) -> None:
    try:
        request = read_request(entry["text"].encode("latin-1"))
    except RefusedError as refused:
        assert entry.get("refused", {}).get("code") == refused.code, refused
        assert refused.code in CODES
    else:
        assert request == entry.get("accepted"), request


def check_replies(entry: dict[str, Any]) -> None:
    extended, wanted = entry.get("extended", False), entry["reply"]
    if "bytes" in entry:
        assert entry["bytes"].endswith("\n" if entry.get("newline") else "\0")
        reply = json.loads(entry["bytes"][:-1])
        plain = {"status", "result", "stdout"} if reply["status"] == "ok" else {"status", "message", "stdout"}
        assert extended or set(reply) <= plain, reply
        assert all(reply.get(key) == value for key, value in wanted.items() if key != "code"), reply
    if "error" in entry:
        assert extended and entry["error"]["code"] in CODES
        assert entry["error"]["message"] == wanted["message"].rstrip().splitlines()[-1]


def check_events(entry: dict[str, Any]) -> None:
    assert entry["bytes"].endswith("\0")
    event = json.loads(entry["bytes"][:-1])
    assert next(iter(event)) == "event" and event.pop("id", None) == entry.get("id")
    assert event == entry["event"], event


def main() -> int:
    checks = {"frames": check_frames, "requests": check_requests, "replies": check_replies, "events": check_events}
    count, failed = 0, 0
    for name, check in checks.items():
        for entry in json.loads((HERE / f"{name}.json").read_text(encoding="utf-8")):
            count += 1
            try:
                check(entry)
            except AssertionError as error:
                failed += 1
                print(f"{name}.json, “{entry['name']}”: {error}")
    print(f"{count} vectors, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

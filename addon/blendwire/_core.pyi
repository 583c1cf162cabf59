# SPDX-License-Identifier: GPL-3.0-or-later
"""The native core as `bridge` sees it: the contract with crates/native, written down for mypy and for readers.

The module itself is a compiled file beside this one. It never touches bpy, is never reloaded, and its state belongs
to the process: importing it a second time finds the same server. Everything is called from the main thread, except
`drain_logs` and `progress`, which any Python thread may call.
"""

from types import ModuleType
from typing import Any

VERSION: str
PROTOCOL_VERSION: int

class StartError(Exception):
    """The server could not start; the text is written for the user."""

class Interrupted(BaseException):
    """The client's time limit has passed, or somebody cancelled the request."""

def start(
    host: str,
    port: int,
    *,
    next_free_port: bool,
    addon_version: str,
    blender_version: str,
    python_version: str,
    background: bool,
    time_limit_secs: float | None = None,
    forbidden_features: list[str] = ...,
    access: dict[str, Any] | None = None,
    history: ModuleType | None = None,
) -> list[str]: ...
def stop() -> None: ...
def is_running() -> bool: ...
def is_executing() -> bool: ...
def tick(budget_secs: float, linger_secs: float) -> bool: ...
def serve() -> None: ...
def end_tick() -> None: ...
def request_stop() -> None: ...
def status() -> dict[str, Any] | None: ...
def set_file(path: str) -> None: ...
def progress(value: float, message: str = "") -> bool: ...
def set_log_level(level: str) -> None: ...
def drain_logs() -> list[tuple[str, float, str]]: ...
def modified(before_path: str, after_path: str, renamed: list[tuple[str, str, str]]) -> list[tuple[str, str]]: ...

# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the native core where that could not be loaded: another platform's file, or none at all.

`bridge` imports it in that case and nobody else does. It has the same functions, never runs anything, and refuses to
start with the reason, so that the add-on still registers and its panel can say what is wrong. It leaves out what is
only called while a server runs (`tick`, `is_idle`, `serve`, `modified`).
"""

from __future__ import annotations

from typing import Any

VERSION = ""

# Filled in by `bridge` from the ImportError.
reason = ""


class StartError(Exception):
    """The server could not start; the text is written for the user."""

    check = "addon"


class Interrupted(BaseException):
    """Never raised here; scripts may name it."""


def start(host: str, port: int, **_: object) -> list[str]:
    """Refuses, and says why the native core is missing."""
    raise StartError(
        f"The native part of the add-on cannot be loaded: {reason}. "
        "Install the zip made for this system, then restart Blender"
    )


def stop() -> None:
    """Nothing runs."""


def request_stop() -> None:
    """Nothing runs."""


def is_running() -> bool:
    """Nothing runs."""
    return False


def is_executing() -> bool:
    """Nothing runs."""
    return False


def status() -> dict[str, Any]:
    """Nothing is known."""
    return {}


def set_file(path: str) -> None:
    """Nobody asks."""


def file_written(path: str) -> None:
    """Nobody asks."""


def set_guard(files: str, processes: str, network: str, temporary: str) -> None:
    """Nothing runs that could be guarded."""


def consent() -> list[dict[str, Any]]:
    """Nobody asks."""
    return []


def consent_code(number: int) -> str | None:
    """Nobody asks."""
    return None


def answer_consent(number: int, answer: str, refused: str) -> bool:
    """Nobody asks."""
    return False


def end_tick() -> None:
    """Nothing ticks."""


def progress(value: float, message: str = "") -> bool:
    """Nobody listens."""
    return False


def set_log_level(level: str) -> None:
    """Nothing is logged."""


def drain_logs() -> list[tuple[str, float, str]]:
    """Nothing is logged."""
    return []

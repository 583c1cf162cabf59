# SPDX-License-Identifier: GPL-3.0-or-later
"""The only module that talks to the native core `_core`, and keeper of the reason when something is wrong.

`server`, `pump`, `snapshot`, `changes`, `logs` and `command_line` call it. It translates the core's errors, survives a
missing core, and copes with the core of an earlier install that is still loaded in this process. It decides nothing:
when to start and stop is `server`'s business. Main thread only, except `drain_logs`, `set_log_level` and
`request_stop`.
"""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import bpy

from . import access
from .findings import Finding, RefusedError
from .settings import GUARDED, Settings, state_dir

try:
    from . import _core as core
except ImportError as error:
    from . import core_missing as core  # type: ignore[no-redef]

    # Python calls a missing file a circular import.
    is_missing = find_spec("._core", __package__) is None
    core.reason = "its file is missing" if is_missing else str(error)  # type: ignore[attr-defined]

# The Python part's own version; blender_manifest.toml, bl_info and the workspace carry the same.
ADDON_VERSION = "0.1.0"

# Where the core that serves is remembered: on `sys`, since installing an extension again drops every module of the
# add-on from sys.modules while the earlier core, which cannot be unloaded, may still hold the port.
_SLOT = "_blendwire_core"

_finding: Finding | None = None
_guard = dict.fromkeys(GUARDED, "allow")

# What a script gets whose time limit has passed, or that was cancelled.
Interrupted = core.Interrupted


class StartError(RefusedError):
    """The server could not start; the text is written for the user."""


def start(settings: Settings, history: ModuleType) -> list[str]:
    """Starts the server and gives its endpoints, as `host:port`. Does not touch bpy.data.

    The core calls the functions of `history` around scripts.

    # Errors
    StartError with a text for the user.
    """
    _release_earlier_core()
    core.set_log_level(settings.log_level)
    # Before the first request. A script that restarts the server which runs it changes no rule.
    with suppress(PermissionError):
        set_guard(settings)
    try:
        endpoints = core.start(
            settings.host,
            settings.port,
            next_free_port=settings.next_free_port,
            addon_version=ADDON_VERSION,
            blender_version=bpy.app.version_string,
            python_version=platform.python_version(),
            background=bpy.app.background,
            state=state_dir(),
            journal=settings.journal,
            time_limit_secs=settings.time_limit_secs or None,
            forbidden_features=settings.forbidden_features,
            access=access.for_core(settings),
            history=history,
        )
    except core.StartError as error:
        # One of an earlier version, still loaded after an update, has no such name.
        raise StartError(getattr(error, "check", "listens"), str(error)) from None
    vars(sys)[_SLOT] = core
    return endpoints


def set_guard(settings: Settings) -> None:
    """Sets the guard rules, at once.

    # Errors
    PermissionError inside a script that a client sent: it must not change what holds for it.
    """
    rules = {kind: getattr(settings, f"guard_{kind}") for kind in GUARDED}
    core.set_guard(rules["files"], rules["processes"], rules["network"], bpy.app.tempdir)
    _guard.update(rules)


def guard_rules() -> dict[str, str]:
    """The guard rules that hold, by kind."""
    return _guard


def consent() -> list[dict[str, Any]]:
    """What the user is to be asked: `request`, `title`, `code`, `is_cut`, `kinds`, `detail`."""
    return core.consent()


def consent_code(number: int) -> str | None:
    """All of the code of a request that waits for consent; None when it does not wait any more."""
    return core.consent_code(number)


def answer_consent(number: int, answer: str, refused: str) -> bool:
    """Passes on the user's answer: `once`, `session` or `never`; False when nobody waits for it any more.

    `refused` is the kind that was refused to a request that has run; empty for one that waits.

    # Errors
    PermissionError inside a script that a client sent: it must not consent to itself.
    """
    return core.answer_consent(number, answer, refused)


def _release_earlier_core() -> None:
    """Stops the server of a core that an earlier install of the add-on loaded from another file."""
    earlier = vars(sys).pop(_SLOT, None)
    if earlier is not None and earlier is not core and not core.is_running() and earlier.is_running():
        earlier.stop()


def stop() -> None:
    """Stops the server if one runs: answers what waits, closes, joins its threads. Not from inside a request."""
    core.stop()
    _release_earlier_core()


def version_finding() -> Finding | None:
    """Why the two halves of the add-on do not belong together.

    After an update the earlier core stays loaded until Blender ends; Windows even keeps its file.
    """
    if core.VERSION in ("", ADDON_VERSION):
        return None
    text = f"The update to {ADDON_VERSION} is not complete (core {core.VERSION} is loaded): restart Blender"
    return Finding("version", text)


def is_running() -> bool:
    """Whether this process serves."""
    return core.is_running()


def is_executing() -> bool:
    """Whether we are being called by a script that a client sent."""
    return core.is_executing()


def tick(budget_secs: float, linger_secs: float) -> bool:
    """Runs what waits, for about `budget_secs`; True when there was work, or a deferred result is awaited."""
    return core.tick(budget_secs, linger_secs)


def is_idle() -> bool:
    """Whether a tick would find nothing to do; costs much less than one."""
    return core.is_idle()


def end_tick() -> None:
    """Has Blender come round before the next request runs."""
    core.end_tick()


def serve() -> None:
    """Runs requests until `request_stop`: the loop of a background Blender."""
    core.serve()


def request_stop() -> None:
    """Makes `serve` return. Safe in a signal handler and inside a request."""
    core.request_stop()


def status() -> dict[str, Any]:
    """The core's status, as `GET /status` gives it; empty when no server runs."""
    return core.status() or {}


def set_file(path: str) -> None:
    """Tells the core which .blend is open."""
    core.set_file(path)


def file_written(path: str) -> None:
    """Tells the core of a file that Blender itself has written, for the journal. Safe in any thread."""
    core.file_written(path)


def progress(value: float, message: str = "") -> bool:
    """Says how far the request is that runs: from 0 to 1, and what is being done; False when none runs."""
    return core.progress(value, message)


def modified(before: str, after: str, renamed: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """The data-blocks that differ between two copies of the file, as collection and name, given what was renamed.

    # Errors
    OSError or ValueError for a copy that cannot be read.
    """
    return core.modified(before, after, renamed)


def set_log_level(level: str) -> None:
    """Drops the core's messages below `level`."""
    core.set_log_level(level)


def drain_logs() -> list[tuple[str, float, str]]:
    """Takes what the core has logged: level, Unix time in seconds, text."""
    return core.drain_logs()


def finding() -> Finding | None:
    """What is wrong, as far as the core does not tell it."""
    return _finding


def set_finding(found: Finding | None) -> None:
    """Remembers what is wrong, or that nothing is."""
    global _finding
    _finding = found

# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's life: start, stop, restart, status, and what the add-on's registration means for it.

Composes `settings`, `bridge`, `pump`, `handlers` and `snapshot`; operators, `__init__` and `command_line` call it.
Start and stop may be called again and again, also by a script that a client sent: stopping waits for that script's
answer then. It does not draw, and does not talk to the core but through `bridge`. Main thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from . import bridge, handlers, history, logs, pump, snapshot, status_bar
from .findings import Finding
from .settings import Settings, SettingsError, effective, forced_bind, stored

# After enabling or start-up: Blender is still reading its preferences and its first file.
AUTO_START_AFTER_SECS = 0.5
# Asked to stop by a client's script: long enough for that script's answer to be on its way.
AFTER_REQUEST_SECS = 0.2


def server_start() -> dict[str, Any]:
    """Starts the server with the user's settings, and returns `server_status()`.

    Never raises for what a user can cause: a port that is taken or a wrong address gives `"state": "problem"` and the
    reason under `"problem"` and `"findings"`, as the panel shows it. Does nothing when it runs already. Not in
    background Blender without `blendwire.command_line.serve`, since nothing would run the requests.
    """
    if bridge.is_running():
        _attend()
        return server_status()
    try:
        start(effective())
    except (SettingsError, bridge.StartError) as error:
        fail(error.finding)
    return server_status()


def server_stop() -> dict[str, Any]:
    """Stops the server and returns `server_status()`. Waiting requests are answered with an error first.

    Called by a script that a client sent, it stops a moment later, when that script has been answered.
    """
    if bridge.is_executing():
        _after_request(stop)
    else:
        stop()
    return server_status()


def server_restart() -> dict[str, Any]:
    """Stops and starts the server, with the settings as they are now, and returns `server_status()`.

    With settings that are refused, the server that runs is left as it is, and the problem is shown. Called by a script
    that a client sent, it restarts a moment later; not so in a background Blender, whose settings come from the
    command line and do not change.
    """
    if bridge.is_executing():
        if bpy.app.background:
            logs.write("warning", "a client's script asked for a restart, which a background Blender does not do")
        else:
            _after_request(server_restart)
        return server_status()
    try:
        effective()
    except SettingsError as error:
        fail(error.finding)
        return server_status()
    stop()
    return server_start()


def server_status() -> dict[str, Any]:
    """How the server is doing: `state` (`running`, `stopped` or `problem`), `running`, `endpoint`, `endpoints`,
    `problem` (empty when nothing is wrong), `findings` (all that is wrong: `check`, as `blendwire doctor` names it, and
    `text`) and under `core` the status that clients get. Never waits.
    """
    snapshot.refresh()
    now = snapshot.current()
    return {
        "state": now.state,
        "running": now.is_running,
        "endpoint": now.endpoint,
        "endpoints": list(now.endpoints),
        "problem": now.problem,
        "findings": [found._asdict() for found in now.findings],
        "core": bridge.status(),
    }


def start(settings: Settings) -> None:
    """Starts the server and whatever goes with it, or takes over the one that this process runs already.

    # Errors
    StartError with a text for the user.
    """
    logs.set_level(settings.log_level)
    if not bridge.is_running():
        bridge.start(settings, history)
    _attend()


def stop() -> None:
    """Stops the server and forgets what was wrong. Not from inside a request."""
    pump.stop()
    handlers.remove()
    bridge.stop()
    bridge.set_finding(None)
    _show()


def fail(found: Finding) -> None:
    """Shows and logs why the server does not run."""
    bridge.set_finding(found)
    logs.write("error", found.text)
    _show()


def register() -> None:
    """Takes over a server that kept running, or has one started a moment later; never in background Blender."""
    if bpy.app.background:
        return
    if bridge.is_running():
        # Blender's data is restricted while an add-on registers, so a moment later here too.
        logs.write("info", "registered again: the server that runs is taken over")
    if not bpy.app.timers.is_registered(_start_if_wanted):
        bpy.app.timers.register(_start_if_wanted, first_interval=AUTO_START_AFTER_SECS, persistent=True)


def unregister() -> None:
    """Stops the server, unless a client's script is what disables the add-on.

    Such a script (`read_factory_settings` is the common one) would lock out every client with one call, so server and
    pump stay up then, without panel and preferences, until the add-on is enabled again or Blender ends. Then the core
    stops itself.
    """
    if bpy.app.timers.is_registered(_start_if_wanted):
        bpy.app.timers.unregister(_start_if_wanted)
    if bridge.is_executing():
        logs.write("warning", "a client's script has disabled the add-on: the server stays up until Blender ends")
        return
    stop()


def _attend() -> None:
    """What goes with a running server."""
    bridge.set_finding(bridge.version_finding())
    history.records_steps = stored().undo_steps
    handlers.add()
    if not bpy.app.background:
        pump.start()
    _show()


def _show() -> None:
    logs.flush()
    if snapshot.refresh() and not bpy.app.background:
        snapshot.redraw()
        status_bar.redraw()


def _start_if_wanted() -> None:
    if bridge.is_running():
        _attend()
    elif forced_bind() or stored().auto_start:
        server_start()


def _after_request(action: Callable[[], object]) -> None:
    """Has `action` done when the script that is running now has been answered."""
    if bpy.app.background:
        bridge.request_stop()
        return
    logs.write("info", "asked to stop or restart by a client's script: done when that has been answered")

    def once() -> float | None:
        if bridge.is_executing():
            return AFTER_REQUEST_SECS
        action()
        return None

    bpy.app.timers.register(once, first_interval=AFTER_REQUEST_SECS, persistent=True)

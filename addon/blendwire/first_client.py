# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client has ever connected: until then, panel and preferences say how one is set up.

That is told once for all and not at each start, so it is kept with the user's preferences. `snapshot` asks, `pump` has
it remembered, a few times a second: Blender's preferences are read and written once for each start of the server, since
to find an add-on's takes long (0.2 % of a core, measured). Main thread only.
"""

from __future__ import annotations

from typing import Any

from . import settings


class _Known:
    """What is known since a start of the server."""

    instance = ""
    had_client = False
    is_kept = False


def has_come(status: dict[str, Any]) -> bool:
    """Whether one is connected, has had something run, or had that in an earlier Blender of this user."""
    if status["instance"] != _Known.instance:
        _Known.instance = status["instance"]
        _Known.had_client = _Known.is_kept = bool(getattr(settings.preferences(), "had_client", False))
    _Known.had_client |= bool(status["clients"] or status.get("running") or status.get("last"))
    return _Known.had_client


def remember() -> None:
    """Notes that one has come, where Blender keeps preferences for this add-on.

    To be called once it has had something run: who only connects may be a monitor that asks for `/health`.
    """
    if _Known.is_kept:
        return
    _Known.is_kept = True
    # Blender does not notice that, and writes it when it writes the preferences next: after the add-on was enabled that
    # is when it ends. Telling it to would have it keep what scripts have set in the preferences for the moment.
    if (preferences := settings.preferences()) is not None:
        preferences.had_client = True

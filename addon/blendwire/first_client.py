# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client has ever connected: until then, panel and preferences say how one is set up.

That is told once for all and not at each start, so it is kept with the user's preferences. `snapshot` asks, `pump` has
it remembered. Main thread only.
"""

from __future__ import annotations

from typing import Any

from . import settings


def has_come(status: dict[str, Any]) -> bool:
    """Whether one is connected, has had something run, or had that in an earlier Blender of this user."""
    is_here = status["clients"] or status.get("running") or status.get("last")
    return bool(is_here or getattr(settings.preferences(), "had_client", False))


def remember() -> None:
    """Notes that one has come, where Blender keeps preferences for this add-on.

    To be called once it has had something run: who only connects may be a monitor that asks for `/health`.
    """
    preferences = settings.preferences()
    if preferences is None or preferences.had_client:
        return
    # Blender does not notice that, and writes it when it writes the preferences next: after the add-on was enabled that
    # is when it ends. Telling it to would have it keep what scripts have set in the preferences for the moment.
    preferences.had_client = True

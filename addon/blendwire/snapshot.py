# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the server that panel and preferences draw from, so that drawing asks nobody and costs nothing.

`pump` and `server` call `refresh`; the drawing code calls `current`. It holds only what is shown, already in words,
and nothing that changes while nothing happens: an unchanged picture is equal to the last one, and nothing is redrawn.
Main thread only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from . import bridge, first_client, history
from .findings import Finding

RUNNING, STOPPED, PROBLEM = "running", "stopped", "problem"

# Kinds of deeds that have a guard rule, after “wants to”.
_WANTS = {"files": "write files", "processes": "start processes", "network": "use the network"}


@dataclass(frozen=True)
class Asked:
    """One thing to ask the user for consent to. With `detail`, it was refused to a request that has run."""

    request: int
    title: str
    # The beginning; `is_cut` when there is more.
    code: str
    is_cut: bool
    kinds: tuple[str, ...]
    detail: str

    @property
    def wants(self) -> str:
        """In words: `write files and use the network`."""
        return " and ".join(_WANTS[kind] for kind in self.kinds)


@dataclass(frozen=True)
class Snapshot:
    """What is shown. `is_running` may be true with findings: the server is up, but something is wrong."""

    state: str = STOPPED
    is_running: bool = False
    findings: tuple[Finding, ...] = ()
    endpoints: tuple[str, ...] = ()
    clients: int = 0
    # Now or ever: without one, how one is set up is shown.
    had_client: bool = True
    # What a user should know about who may connect; a warning where anyone on some network can.
    access_line: str = ""
    is_open: bool = False
    queued: int = 0
    running_line: str = ""
    running_since: str = ""
    last_line: str = ""
    last_ok: bool = True
    last_took: str = ""
    # The title of the last request's undo step, as long as nothing has been edited since.
    undoable: str = ""
    # The folder; empty when there is none.
    journal: str = ""
    # Oldest first.
    consent: tuple[Asked, ...] = ()

    @property
    def problem(self) -> str:
        """The first thing that is wrong; empty when nothing is."""
        return self.findings[0].text if self.findings else ""

    @property
    def endpoint(self) -> str:
        """The one address to give to a client: `localhost:port` when both loopback addresses are served there."""
        ports = {host: port for host, _, port in (endpoint.rpartition(":") for endpoint in self.endpoints)}
        if "[::1]" in ports and ports.get("127.0.0.1") == ports["[::1]"]:
            return f"localhost:{ports['[::1]']}"
        return self.endpoints[0] if self.endpoints else ""


_current = Snapshot()


def current() -> Snapshot:
    """The last picture taken."""
    return _current


def refresh() -> bool:
    """Takes a new picture; True when it differs from the last."""
    global _current
    earlier, _current = _current, _take()
    return _current != earlier


def redraw() -> None:
    """Has the sidebars of the 3D viewports and the preferences drawn again; nothing else, no scene."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager is not None else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                _redraw_sidebar(area)
            elif area.type == "PREFERENCES":
                area.tag_redraw()


def _redraw_sidebar(area: bpy.types.Area) -> None:
    for region in area.regions:
        # A region that is folded away is one pixel wide.
        if region.type == "UI" and region.width > 1:
            region.tag_redraw()


def _take() -> Snapshot:
    if not bridge.is_running():
        found = bridge.finding()
        return Snapshot(state=PROBLEM if found else STOPPED, findings=(found,) if found else ())
    status = bridge.status()
    journal = status.get("journal") or {}
    findings = tuple(_findings(journal, status["counters"]["panics"]))
    return Snapshot(
        state=PROBLEM if findings else RUNNING,
        is_running=True,
        findings=findings,
        endpoints=tuple(status["endpoints"]),
        clients=status["clients"],
        had_client=first_client.has_come(status),
        access_line=_access_line(status["access"]),
        is_open=bool(status["access"]["open_networks"]),
        queued=status["queue"]["length"],
        journal=journal.get("folder", ""),
        undoable=history.undoable(),
        consent=tuple(Asked(**{**entry, "kinds": tuple(entry["kinds"])}) for entry in bridge.consent()),
        **_running(status.get("running")),
        **_last(status.get("last")),
    )


def _access_line(access: dict[str, Any]) -> str:
    if access["open_networks"]:
        return f"Open to {', '.join(access['open_networks'])}, without a token: whoever is there can do what you can"
    if access["beyond_this_machine"]:
        return "Other machines need TLS and the token"
    return "Clients need the token" if access["token_required"] else ""


def _findings(journal: dict[str, Any], panics: int) -> Iterator[Finding]:
    """What is wrong with a server that runs."""
    if found := bridge.finding():
        yield found
    if reason := journal.get("problem"):
        yield Finding(
            "journal",
            f"The audit journal cannot be written ({reason}): make room or mend {journal['folder']}, "
            "or switch it off in the preferences. Requests go on without it",
        )
    if panics:
        yield Finding(
            "defects",
            f"Defects of the server itself have ended connections ({panics}): please report what the console says",
        )


def _running(request: dict[str, Any] | None) -> dict[str, Any]:
    if not request:
        return {}
    # The time of day stays true on a panel that cannot be redrawn while the request holds Blender.
    since = time.localtime(time.time() - request["running_secs"])
    return {"running_line": _line(request), "running_since": time.strftime("%H:%M:%S", since)}


def _last(request: dict[str, Any] | None) -> dict[str, Any]:
    if not request:
        return {}
    return {"last_line": _line(request), "last_ok": request["ok"], "last_took": duration(request["took_secs"])}


def _line(request: dict[str, Any]) -> str:
    """What tells a request apart: what the client calls it, else how its code begins."""
    return request.get("title") or request["first_line"]


def duration(secs: float) -> str:
    """A duration in words, to two or three digits: `0.4 ms`, `12 ms`, `1.5 s`, `2 min 5 s`."""
    if secs < 0.01:
        return f"{secs * 1000:.1f} ms"
    if secs < 1:
        return f"{secs * 1000:.0f} ms"
    if secs < 60:
        return f"{secs:.1f} s"
    return f"{secs // 60:.0f} min {secs % 60:.0f} s"

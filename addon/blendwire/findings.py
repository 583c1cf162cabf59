# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the server, each thing under the name that `blendwire doctor` has for it.

Panel, preferences and `server_status()` show the same names, and docs/troubleshooting.md explains each under its own.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

# Those checks of `blendwire doctor` that Blender knows the outcome of without being asked.
Check = Literal[
    "addon",
    "config",
    "defects",
    "journal",
    "listens",
    "name",
    "online-access",
    "owner",
    "reserved-port",
    "tls",
    "token-file",
    "version",
]

DOCUMENT = "https://github.com/blendwire/blendwire/blob/main/docs/troubleshooting.md"


class Finding(NamedTuple):
    """One thing that is wrong; the text is written for the user, and says what to do."""

    check: Check
    text: str


class RefusedError(Exception):
    """Why the server was not started."""

    def __init__(self, check: Check, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(check, text)

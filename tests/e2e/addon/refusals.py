# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the server with settings that are refused, one after the other, and mends each: what the panel shows then.

In the folder that the add-on is in. Arguments: a file with a list of [preferences to set, what to do before, what to do
after], the latter two as Python; the file that the findings go to, as a list of [while it is so, afterwards]; a free
port.
"""

import json
import sys

import bpy

cases, out, port = sys.argv[1:]
sys.path.insert(0, ".")

import addon_utils  # noqa: E402

addon_utils.enable("blendwire", default_set=True)

import blendwire  # noqa: E402

preferences = bpy.context.preferences.addons["blendwire"].preferences
preferences.port = int(port)


def findings() -> list[object]:
    """What is wrong with a server that is started now."""
    found = blendwire.server_start()["findings"]
    blendwire.server_stop()
    return found


told = []
with open(cases, encoding="utf-8") as file:
    for values, before, after in json.load(file):
        exec(before)
        for name, value in values.items():
            setattr(preferences, name, value)
        during = findings()
        for name in values:
            preferences.property_unset(name)
        preferences.port = int(port)
        exec(after)
        told.append([during, findings()])
with open(out, "w", encoding="utf-8") as file:
    json.dump(told, file)

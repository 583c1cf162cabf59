# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the Blender that `blendwire launch` starts: has the add-on enabled, and serves when there is no window.

An add-on that the user has enabled already is used as it is; the one beside this file is for the others, and for this
session only. The address comes from the environment (BLENDWIRE_BIND), which the add-on reads itself.
"""

import importlib
import os
import sys

import addon_utils
import bpy

NAME = "blendwire"


def enabled_module():
    """The add-on's module name if the user has enabled it (an extension's has its repository in front)."""
    names = (addon.module for addon in bpy.context.preferences.addons)
    return next((name for name in names if name == NAME or name.endswith("." + NAME)), None)


def enable_carried():
    """Enables the add-on beside this file without writing that into the preferences."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if addon_utils.enable(NAME, default_set=False, persistent=True) is None:
        raise RuntimeError("Blender could not enable the Blendwire add-on; its reason stands above")
    return NAME


module = enabled_module() or enable_carried()
if bpy.app.background:
    status = importlib.import_module(module + ".command_line").serve()
    if status:
        sys.exit(status)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's API depends on: its version, and the add-ons that are on. Reads only."""

import bpy


def main():
    """Entry point."""
    add_ons = sorted(bpy.context.preferences.addons.keys())
    build = bpy.app.build_hash.decode(errors="replace")
    return {"status": "ok", "version": list(bpy.app.version), "fingerprint": [bpy.app.version_string, build, *add_ons]}

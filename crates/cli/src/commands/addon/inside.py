# SPDX-License-Identifier: GPL-3.0-or-later
"""Run in a background Blender by `blendwire addon`: changes what was asked for, and tells which add-ons are there.

Never with factory settings: it reads and saves the preferences of the user. What is wanted stands as JSON in the last
argument, the answer behind MARKER on a line of stdout. Runs in Blender 4.0 and later.
"""

import json
import os
import re
import sys
from contextlib import suppress

import addon_utils
import bpy

MARKER = "blendwire-addon:"
NAME = "blendwire"
# An add-on with MCP for a word in its name serves MCP clients, on port 9876 as a rule. In MCprep it is no word.
RIVAL = re.compile(r"mcp(?![a-z])", re.IGNORECASE)


def leaf(module):
    return module.rpartition(".")[2]


def version_text(version):
    """An extension has its manifest's text, a legacy add-on a tuple."""
    return version if isinstance(version, str) else ".".join(str(number) for number in version)


def seen(module):
    info = addon_utils.module_bl_info(module)
    name = module.__name__
    return {
        "module": name,
        "kind": "extension" if name.startswith("bl_ext.") else "legacy",
        "name": info["name"],
        "version": version_text(info["version"]),
        "enabled": name in bpy.context.preferences.addons,
        "folder": os.path.dirname(os.path.abspath(module.__file__)),
    }


def is_rival(addon):
    return bool(RIVAL.search(addon["name"]) or RIVAL.search(leaf(addon["module"])))


def look():
    found = [seen(module) for module in addon_utils.modules(refresh=True)]
    ours = [addon for addon in found if leaf(addon["module"]) == NAME]
    return {
        "version": list(bpy.app.version),
        "ours": ours,
        "rivals": [addon for addon in found if addon not in ours and is_rival(addon)],
        "legacy_folder": bpy.utils.user_resource("SCRIPTS", path="addons"),
    }


def settings_of(module):
    """What the user has set there, to go with them to another kind of installation."""
    addon = bpy.context.preferences.addons.get(module)
    preferences = addon and addon.preferences
    if not preferences:
        return {}
    writable = [prop.identifier for prop in preferences.bl_rna.properties if not prop.is_readonly]
    values = {name: getattr(preferences, name) for name in writable if preferences.is_property_set(name)}
    # Of several that are chosen at once Blender makes a set, which JSON does not have.
    values = {name: sorted(value) if isinstance(value, set) else value for name, value in values.items()}
    return {name: value for name, value in values.items() if isinstance(value, (bool, int, float, str, list))}


def give_setting(preferences, name, value):
    """What of it this version knows: else one unknown choice would bring back all that the user had left out."""
    if isinstance(value, list):
        value = set(value) & set(preferences.bl_rna.properties[name].enum_items.keys())
    setattr(preferences, name, value)


def local_repository():
    """The module name of the repository that installations from a file go to; one is made where there is none."""
    repos = bpy.context.preferences.extensions.repos
    local = [repo for repo in repos if repo.enabled and not repo.use_remote_url and repo.source == "USER"]
    local.sort(key=lambda repo: repo.module != "user_default")
    return (local[0] if local else repos.new(name="User Default", module="user_default")).module


def disable(module):
    addon_utils.disable(module, default_set=True)


def uninstall_extension(module):
    _, repository, name = module.split(".")
    repo = next(repo for repo in bpy.context.preferences.extensions.repos if repo.module == repository)
    bpy.ops.extensions.package_uninstall(repo_directory=repo.directory, pkg_id=name)


def install_extension(path):
    repository = local_repository()
    bpy.ops.extensions.package_install_files(filepath=path, repo=repository, enable_on_install=True)
    return f"bl_ext.{repository}.{NAME}"


def enable(module, settings):
    errors = []
    is_enabled = all(addon_utils.check(module))
    if not is_enabled and addon_utils.enable(module, default_set=True, handle_error=errors.append) is None:
        raise RuntimeError(f"Blender cannot enable {module}: {errors[0] if errors else 'it does not say why'}")
    preferences = bpy.context.preferences.addons[module].preferences
    for name, value in settings.items():
        # A later version may know it no more, or want another kind of value.
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            give_setting(preferences, name, value)


def change(wanted):
    """Everything in the order in which it has to happen; gives the settings of what went."""
    kept = dict(wanted.get("settings", {}))
    for module in wanted.get("settings_of", []):
        kept.update(settings_of(module))
    for module in wanted.get("disable", []):
        disable(module)
    for module in wanted.get("uninstall", []):
        uninstall_extension(module)
    module = wanted.get("enable", "")
    if "install" in wanted:
        module = install_extension(wanted["install"])
    if module:
        enable(module, kept)
    bpy.ops.wm.save_userpref()
    return kept


def main():
    wanted = json.loads(sys.argv[-1])
    answer = {}
    try:
        if wanted:
            answer["settings"] = change(wanted)
        answer.update(look())
    except Exception as error:
        answer["error"] = str(error).strip() or type(error).__name__
    sys.stdout.flush()
    print("\n" + MARKER + json.dumps(answer), flush=True)


main()

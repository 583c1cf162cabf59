# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows another workspace, by its name or by the editor that it is made for.

Blender switches when it comes round, so the answer is deferred until the workspace is there.
"""

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from rendering import why_busy
    from still_there import at

# Some five seconds.
MOST_POLLS = 250
# What `ui_type` tells apart of an area's types, as far as it is fixed; Blender lists it to the user only.
KINDS = ("UV", "DOPESHEET", "TIMELINE", "FCURVES", "DRIVERS", "FILES", "ASSETS")
NO_WINDOW = "this Blender has no window, and so no workspaces to switch between"

check_is_finished = None


class Switch:
    """A poll of a deferred result: has the window switched?

    Window and workspace are looked up anew: another client may load a file meanwhile, and the user close the window.
    """

    def __init__(self, window, workspace, answer, then=lambda workspace: None):
        self.window, self.workspace, self.answer, self.then = window.as_pointer(), workspace.name, answer, then
        self.polls = 0
        window.workspace = workspace

    def __call__(self):
        """The answer, or None until the window shows the workspace."""
        self.polls += 1
        window = at(bpy.context.window_manager.windows, self.window)
        workspace = bpy.data.workspaces.get(self.workspace)
        if window is None or workspace is None:
            return error(
                f"the window was closed, or another file loaded, before it showed {self.workspace!r}: try again"
            )
        if window.workspace == workspace:
            self.then(workspace)
            return {"status": "ok", "workspace": self.workspace, **self.answer}
        if self.polls < MOST_POLLS:
            return None
        return error(f"Blender did not switch to {self.workspace!r}: is a dialogue open, or a render under way?")


def switch(window, workspace, answer, *then):
    """That poll, or why it cannot be: some workspaces have a mode of their own."""
    if workspace.object_mode != window.workspace.object_mode and (why := why_busy()):
        return error(why)
    return Switch(window, workspace, answer, *then)


def error(message, **more):
    """An answer that tells of it."""
    return {"status": "error", "message": message, **more}


def editor_types():
    """Those that an area can be."""
    known = bpy.types.Area.bl_rna.properties["type"].enum_items.keys()
    return [name for name in known if name not in {"EMPTY", "TOPBAR", "STATUSBAR"}]


def is_node_tree(name):
    """Whether it is a type of node trees, of which each has an editor of its own."""
    cls = getattr(bpy.types, name, None)
    return isinstance(cls, type) and issubclass(cls, bpy.types.NodeTree) and cls is not bpy.types.NodeTree


def main_area(workspace):
    """The largest editor of a workspace."""
    areas = [area for screen in workspace.screens for area in screen.areas]
    return max(areas, key=lambda area: area.width * area.height, default=None)


def by_name(window, name):
    """To the workspace of this name."""
    workspace = bpy.data.workspaces.get(name)
    if workspace is None:
        names = bpy.data.workspaces.keys()
        return error(f"there is no workspace {name!r}; there are {', '.join(names)}", available_workspaces=names)
    return switch(window, workspace, {})


def by_space_type(window, space_type, allow_edits):
    """To a workspace whose largest editor is of this type, the one that is shown first."""
    workspaces = [window.workspace, *bpy.data.workspaces]
    mains = [(workspace, main_area(workspace)) for workspace in workspaces]
    types = {workspace: {area.type, area.ui_type} for workspace, area in mains if area}
    for workspace, found in types.items():
        if space_type in found:
            return switch(window, workspace, {"space_type": space_type})
    editors = [*editor_types(), *KINDS]
    if space_type not in editors and not is_node_tree(space_type):
        return error(
            f"there is no editor of type {space_type!r}; there are {', '.join(editors)}, and types of node trees"
        )
    if allow_edits:
        return with_new_workspace(window, space_type)
    there = sorted({area.type for _, area in mains if area})
    message = f"no workspace is made for {space_type!r}, only for {', '.join(there)}; allow_edits=true makes one"
    return error(message, available_space_types=there)


def with_new_workspace(window, space_type):
    """To a copy of the workspace that is shown, with its largest editor changed."""
    before = set(bpy.data.workspaces)
    with bpy.context.temp_override(window=window):
        bpy.ops.workspace.duplicate()
    (workspace,) = set(bpy.data.workspaces) - before
    workspace.name = space_type.replace("_", " ").title() if space_type.isupper() else space_type

    def change(workspace):
        setattr(main_area(workspace), "type" if space_type in editor_types() else "ui_type", space_type)

    return switch(window, workspace, {"space_type": space_type, "created": True}, change)


def main(name=None, space_type=None, allow_edits=False):
    """Entry point; either of the first two is given."""
    global check_is_finished
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return error(NO_WINDOW)
    window = bpy.context.window or windows[0]
    switched = by_name(window, name) if space_type is None else by_space_type(window, space_type, allow_edits)
    if isinstance(switched, dict):
        return switched
    check_is_finished = switched
    return None

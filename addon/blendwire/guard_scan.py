# SPDX-License-Identifier: GPL-3.0-or-later
"""What a script visibly wants to do outside of Blender, for the guard rule “Ask”: told from its source, before it runs.

The core calls `wants` where the user is to be asked about any kind. It errs on the side of asking for what is named
plainly; what is hidden (`exec`, `getattr`, a library that writes) is not found and is refused when it happens. It knows
no rules and asks nobody. Any thread; touches no bpy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

FILES, PROCESSES, NETWORK = "files", "processes", "network"

# Modules that are imported for one purpose. Those within packages by their whole name.
_MODULES = {
    "subprocess": PROCESSES,
    "multiprocessing": PROCESSES,
    "pty": PROCESSES,
    "webbrowser": PROCESSES,
    "shutil": FILES,
    "sqlite3": FILES,
    "socket": NETWORK,
    "socketserver": NETWORK,
    "ssl": NETWORK,
    "ftplib": NETWORK,
    "smtplib": NETWORK,
    "imaplib": NETWORK,
    "poplib": NETWORK,
    "xmlrpc": NETWORK,
    "requests": NETWORK,
    "httpx": NETWORK,
    "aiohttp": NETWORK,
    "urllib3": NETWORK,
    "websockets": NETWORK,
    "http.client": NETWORK,
    "http.server": NETWORK,
    "urllib.request": NETWORK,
}

_OS_FILES = {
    "remove", "unlink", "rename", "renames", "replace", "rmdir", "removedirs", "mkdir", "makedirs", "link", "symlink",
    "truncate", "chmod", "chown", "utime", "mkfifo",
}  # fmt: skip
_OS_PROCESSES = ("system", "popen", "exec", "spawn", "posix_spawn", "fork", "startfile", "kill")

# Methods that are named for what they do, of paths and of Blender's images and operators.
# `unlink` of a path is not among them: that of a collection's objects is in every other script.
_METHODS = {"write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "save_render"}
_WRITES = frozenset("wax+")
_MODE_LETTERS = _WRITES | frozenset("rbtU")


def wants(source: str) -> list[str]:
    """Kinds of what the source visibly wants: `files`, `processes`, `network`; none for one that is no Python."""
    try:
        found = set(_found(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    # Blender's own folder for temporary files is free. Whether all stays there, the core sees when it happens.
    if "bpy.app.tempdir" in source:
        found.discard(FILES)
    return [kind for kind in (FILES, PROCESSES, NETWORK) if kind in found]


def _found(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _of_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield from _of_module(node.module or "")
                yield from _of_module(f"{node.module}.{alias.name}")
                if node.module == "os":
                    yield from _of_os(alias.name)
        elif isinstance(node, ast.Attribute):
            yield from _of_attribute(node)
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_module(name: str) -> Iterator[str]:
    parts = name.split(".")
    for end in (1, 2):
        if kind := _MODULES.get(".".join(parts[:end])):
            yield kind


def _of_os(name: str) -> Iterator[str]:
    if name in _OS_FILES:
        yield FILES
    elif name.startswith(_OS_PROCESSES):
        yield PROCESSES


def _of_attribute(node: ast.Attribute) -> Iterator[str]:
    if isinstance(node.value, ast.Name) and node.value.id == "os":
        yield from _of_os(node.attr)
    if node.attr in _METHODS:
        yield FILES


def _of_call(node: ast.Call) -> Iterator[str]:
    name = _dotted(node.func)
    if name == "__import__" and node.args and isinstance(node.args[0], ast.Constant):
        yield from _of_module(str(node.args[0].value))
    if name == "open" or name.endswith(".open"):
        yield from _of_open(node, is_builtin=name in ("open", "io.open"))
    if not name.startswith("bpy.ops."):
        return
    operator = name.removeprefix("bpy.ops.")
    if ".save" in operator or "export" in operator or operator == "image.save_as":
        yield FILES
    if operator == "render.render" and any(
        word.arg in ("write_still", "animation") and not (isinstance(word.value, ast.Constant) and not word.value.value)
        for word in node.keywords
    ):
        yield FILES


def _dotted(node: ast.expr) -> str:
    """`a.b.c`; what is no name before the first dot is left out. However long, it costs no recursion."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def _of_open(node: ast.Call, *, is_builtin: bool) -> Iterator[str]:
    """`open(path, mode)` and `path.open(mode)`; a mode that is worked out may be one for writing."""
    place = 1 if is_builtin else 0
    modes = [word.value for word in node.keywords if word.arg == "mode"] or node.args[place : place + 1]
    for mode in modes:
        text = mode.value if isinstance(mode, ast.Constant) else None
        if not isinstance(text, str):
            # `Image.open(path)`: one argument of a method may be anything.
            yield from [FILES] if is_builtin else []
        elif set(text) <= _MODE_LETTERS and _WRITES & set(text):
            yield FILES

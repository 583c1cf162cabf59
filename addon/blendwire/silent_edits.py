# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits that Blender's dependency graph is not told of, looked for in a script's source.

`history` asks, for scripts of which Blender told nothing. Found by trying: custom properties, text blocks, pixels,
markers, fake users, asset marks. A false alarm costs an undo step that undoes nothing; what is missed ends up in the
next request's step.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Methods that change data silently. `write` and `clear` are those of texts, `new` and `remove` of markers.
_METHODS = frozenset({"from_string", "asset_mark", "asset_clear", "asset_generate_preview", "pack", "unpack"})
_METHODS_OF = {"timeline_markers": frozenset({"new", "remove", "clear"}), "texts": frozenset({"write", "clear"})}
# What makes containers that are not Blender's: Python's own, and numpy's arrays.
_CONTAINERS = frozenset({"dict", "list", "defaultdict", "Counter", "OrderedDict", "zeros", "ones", "empty", "array"})
_ATTRIBUTES = frozenset({"use_fake_user", "use_extra_user", "pixels", "body", "current_line_index"})


def may_edit_silently(source: str) -> bool:
    """Whether the script holds an edit that only shows in its source."""
    # Parsing takes longer than most scripts: only where there is something to find.
    if not any(sign in source for sign in ("]", "write", "clear", *_METHODS, *_METHODS_OF, *_ATTRIBUTES)):
        return False
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    own = frozenset(_own_containers(tree))
    return any(_is_silent_edit(node, own) for node in ast.walk(tree))


def _own_containers(tree: ast.AST) -> Iterator[str]:
    """Names that the script binds to containers of its own: storing into those edits nothing of Blender's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and _makes_container(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _makes_container(value: ast.AST | None) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return name in _CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.DictComp | ast.ListComp | ast.BinOp)


def _is_silent_edit(node: ast.AST, own: frozenset[str]) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return _root(node) not in own
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr in _ATTRIBUTES
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method, names = node.func.attr, set(_names(node.func.value))
        return method in _METHODS or any(method in methods for of, methods in _METHODS_OF.items() if of in names)
    return False


def _names(node: ast.AST) -> Iterator[str]:
    """The attributes and the name that an expression such as `bpy.data.texts["a"]` is made of."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Attribute):
            yield node.attr
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id


def _root(node: ast.Subscript) -> str:
    """The name that a subscript starts from, where that is all: `a` of `a["x"]["y"]`, nothing of `a.b["x"]`."""
    value: ast.AST = node
    while isinstance(value, ast.Subscript):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""

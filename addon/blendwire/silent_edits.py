# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits that Blender's dependency graph is not told of, looked for in a script's source.

`history` asks, for scripts of which Blender told nothing. Found by trying two hundred kinds of edits: it is not told of
custom properties, properties that add-ons define, text blocks, pixels, markers, palettes, fake users, asset marks, new
elements of meshes and actions that nothing uses. So anything counts that stores into what the script has not made
itself. A false alarm costs an undo step that undoes nothing; what is missed ends up in the next request's step.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

# Methods that change data silently, or may.
_METHODS = frozenset(
    {
        "write",
        "from_string",
        "clear",
        "cursor_set",
        "select_set",
        "foreach_set",
        "scale",
        "pack",
        "unpack",
        "reload",
        "new",
        "remove",
        "add",
        "pop",
        "popitem",
        "asset_mark",
        "asset_clear",
        "asset_generate_preview",
        "id_properties_ensure",
        "id_properties_clear",
        "validate",
        "user_clear",
        "property_overridable_library_set",
        "user_remap",
        "sequence_editor_create",
        "move",
        "insert",
        "preview_ensure",
    }
)
# These do on what a look-up or a call gives: `object["settings"].update(…)`, not `view_layer.update()`.
_METHODS_OF_PARTS = frozenset({"update", "extend", "append"})
_PUTS = frozenset({"append", "add"})
_FUNCTIONS = frozenset({"setattr", "delattr"})
# What is reached by these names is not in the file: the user's settings and windows.
_OUTSIDE = frozenset(
    {
        "preferences",
        "window_manager",
        "screen",
        "area",
        "areas",
        "space",
        "space_data",
        "spaces",
        "region",
        "region_3d",
        "shading",
        "overlay",
        "window",
        "windows",
        "workspace",
        "driver_namespace",
        "handlers",
        "timers",
    }
)
_MODULES_OF_DATA = frozenset({"bpy"})
# Calls of modules that give what is in the file all the same.
_GIVES_DATA = frozenset({"from_edit_mesh"})
_MAKERS = frozenset(
    {
        "dict",
        "list",
        "set",
        "sorted",
        "tuple",
        "str",
        "int",
        "float",
        "bool",
        "bytes",
        "bytearray",
        "sum",
        "len",
        "min",
        "max",
        "open",
        "iter",
        "zip",
        "enumerate",
        "reversed",
        "map",
        "filter",
        "range",
        "round",
        "abs",
        "repr",
        "type",
        "object",
        "vars",
        "frozenset",
    }
)
# Tuples and not unions: `isinstance` looks through them four times as fast.
_MADE = (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.BinOp)
_BINDING = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.comprehension, ast.withitem, ast.Call)
_PLAIN = (*_MADE, ast.Constant, ast.JoinedStr, ast.Tuple, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Lambda)
_PATH = (ast.Attribute, ast.Subscript, ast.Call)
_PART = (ast.Attribute, ast.Subscript)
_CHANGED = (ast.Store, ast.Del)


# Longer sources hold data, whose parsing takes seconds.
_LONGEST = 256 * 1024
# What was found of earlier sources, by their digests: the sources themselves may be long.
_known: dict[bytes, bool] = {}
_MOST_KNOWN = 256


def may_edit_silently(source: str) -> bool:
    """Whether the script holds an edit that only shows in its source. A very long one counts as if it did."""
    if len(source) > _LONGEST:
        return True
    digest = hashlib.blake2b(source.encode(errors="surrogatepass"), digest_size=16).digest()
    if digest not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[digest] = _looks_like_it(source)
    return _known[digest]


def _looks_like_it(source: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    suspects = [node for node in nodes if _is_store(node) or _is_telling_call(node)]
    if not suspects:
        return False
    own = _Own(nodes)
    return any(not own.has(target) for node in suspects for target in _targets(node))


def _is_store(node: ast.AST) -> bool:
    return isinstance(node, _PART) and isinstance(node.ctx, _CHANGED)


def _is_telling_call(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in _FUNCTIONS
    if not isinstance(node.func, ast.Attribute):
        return False
    is_of_part = isinstance(node.func.value, ast.Subscript | ast.Call) and node.func.attr in _METHODS_OF_PARTS
    return is_of_part or node.func.attr in _METHODS


def _targets(node: ast.AST) -> Iterator[ast.AST]:
    """What the store or call changes."""
    if isinstance(node, ast.Call):
        yield from node.args[:1] if isinstance(node.func, ast.Name) else [node.func.value]  # type: ignore[attr-defined]
    elif isinstance(node, _PART):
        yield node.value


class _Own:
    """The names of what a script has made itself, as far as its source tells: storing there edits no file."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self._names = {"self", "cls", *_imported(nodes)}
        # Names of containers that hold something of Blender's.
        self._holders: set[str] = set()
        self._functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
        self._classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        binding: list[ast.AST] = [node for node in nodes if isinstance(node, _BINDING)]
        # Each look may find names that others depend on; two of each are enough for what people write. What is gone
        # through comes later: what a container holds must be known by then.
        for goes_through in (False, False, True, True):
            self._look(binding, goes_through)
            self._holders.update(self._holding(binding) if not self._holders or goes_through else ())

    def has(self, node: ast.AST) -> bool:
        """Whether what `node` stands for is the script's own, or nothing of the file's."""
        depth = 0
        while isinstance(node, _PATH):
            if isinstance(node, ast.Attribute) and node.attr in _OUTSIDE:
                return True
            if isinstance(node, ast.Call) and self._makes(node):
                return True
            depth += isinstance(node, ast.Subscript | ast.Call)
            node = node.func if isinstance(node, ast.Call) else node.value
        if not isinstance(node, ast.Name):
            return isinstance(node, _PLAIN)
        # What lies in a container may be Blender's: `objects["Cube"]["x"] = 1`.
        return node.id in self._names and not (depth and node.id in self._holders)

    def _look(self, nodes: list[ast.AST], goes_through: bool) -> None:
        for node in nodes:
            is_loop = isinstance(node, ast.For | ast.comprehension)
            if is_loop and not goes_through:
                continue
            for target, value in _bindings(node):
                if self._is_made(value) and not (is_loop and self._holds(value)):
                    names = (name for name in ast.walk(target) if isinstance(name, ast.Name))
                    self._names.update(name.id for name in names if isinstance(name.ctx, ast.Store))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._functions:
                self._names.update(self._own_parameters(self._functions[node.func.id], node))

    def _own_parameters(self, function: ast.FunctionDef, call: ast.Call) -> Iterator[str]:
        """Parameters that a call gives something of the script's own."""
        yield from (
            parameter.arg
            for parameter, value in zip(function.args.args, call.args, strict=False)
            if self._is_made(value)
        )
        yield from (keyword.arg for keyword in call.keywords if keyword.arg and self._is_made(keyword.value))

    def _is_made(self, value: ast.AST) -> bool:
        if isinstance(value, ast.IfExp):
            return self._is_made(value.body) and self._is_made(value.orelse)
        if isinstance(value, ast.BoolOp):
            return all(self._is_made(one) for one in value.values)
        if isinstance(value, _PLAIN):
            return True
        if isinstance(value, ast.Call) and self._makes(value):
            return True
        root = value
        while isinstance(root, _PATH):
            if isinstance(root, ast.Attribute) and root.attr in _GIVES_DATA:
                return False
            root = root.func if isinstance(root, ast.Call) else root.value
        return isinstance(root, ast.Name) and root.id in self._names and root.id not in self._holders

    def _makes(self, call: ast.Call) -> bool:
        """Whether a call gives something new: of Python's own, of a module, of the script's functions."""
        if isinstance(call.func, ast.Name):
            name = call.func.id
            if (function := self._functions.get(name)) is not None:
                values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
                return bool(values) and all(self._is_made(value) for value in values)
            return name in _MAKERS or name in self._classes or name in self._names
        if not isinstance(call.func, ast.Attribute) or call.func.attr in _GIVES_DATA:
            return False
        root = call.func.value
        return isinstance(root, ast.Constant) or (isinstance(root, ast.Name) and root.id in self._names)

    def _holding(self, nodes: list[ast.AST]) -> Iterator[str]:
        """Names of containers into which something was put that is not the script's own."""
        for node in nodes:
            for target, value in _bindings(node):
                if isinstance(target, ast.Name) and self._holds(value):
                    yield target.id
                if isinstance(target, ast.Subscript) and isinstance(value, ast.Name) and not self._is_made(value):
                    yield from _root_names(target)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _PUTS:
                yield from _root_names(node.func.value) if self._passes_others(node) else ()

    def _passes_others(self, call: ast.Call) -> bool:
        return any(isinstance(one, ast.Name) and not self._is_made(one) for one in call.args)

    def _holds(self, value: ast.AST) -> bool:
        if isinstance(value, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return isinstance(value.elt, ast.Name)
        if isinstance(value, ast.DictComp):
            return isinstance(value.value, ast.Name)
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            return any(isinstance(one, ast.Name | ast.Subscript) and not self._is_made(one) for one in value.elts)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _MAKERS:
            return any(not self._is_made(one) for one in value.args)
        return False


def _imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [(alias.name.split(".")[0], alias.asname) for alias in node.names]
            yield from (asname or name for name, asname in names if name not in _MODULES_OF_DATA)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in _MODULES_OF_DATA:
            yield from (alias.asname or alias.name for alias in node.names)


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Pairs of what is assigned to, and what is assigned; for loops, what is gone through."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.comprehension):
        yield node.target, node.iter
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, node.context_expr


def _root_names(node: ast.AST) -> Iterator[str]:
    while isinstance(node, _PATH):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Name):
        yield node.id

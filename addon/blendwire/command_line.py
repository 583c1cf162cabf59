# SPDX-License-Identifier: GPL-3.0-or-later
"""Serving from a Blender without a window, where timers never fire: the main thread is the server's loop.

`serve` is the one entry: for `blender --background --command blendwire` (Blender 4.2 and later), for
`python -m blendwire` with the bpy module, and for a launcher script. stdout is left to the scripts; messages go to
stderr. It returns an exit status and never ends the process. Main thread only; signal handlers are put back.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import bpy

from . import bridge, logs, server
from .settings import SettingsError, effective, parse_guard, parse_port

# The word after `--command`.
COMMAND = "blendwire"

EXIT_DONE, EXIT_FAILED = 0, 2

# Blender's hold on the registered command; a reload of this module must not lose it.
_handle: object = globals().get("_handle")


def serve(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGINT, SIGTERM or a script that asks for the server's end; returns the exit status.

    `argv` holds the arguments after the program's name; None is none. Status 0 when ended on request, 2 when it could
    not start, with the reason on stderr. SIGTERM lets a running script finish, SIGINT and any second signal
    interrupt it.
    """
    try:
        options = _parser().parse_args([argument for argument in argv or () if argument != "--"])
    except SystemExit as end:
        # What argparse does after --help (0) and for wrong use (2).
        return end.code if isinstance(end.code, int) else EXIT_FAILED
    if not bpy.app.background:
        return _refused("this Blender has a window, which would freeze: enable the add-on, or call server_start()")
    if bridge.is_running():
        return _refused("this Blender serves already")
    # What Blender itself was told goes first; it is then read-only. Before 4.2 nothing is asked.
    if options.online_mode and not getattr(bpy.app, "online_access_override", True):
        bpy.context.preferences.system.use_online_access = True
    try:
        _open_file(options.file)
        settings = effective(
            options.host,
            options.port,
            other_users=options.other_users,
            require_token=options.require_token,
            allowed_clients=" ".join(options.allow),
            open_networks=" ".join(options.open_to),
            tls_certificate=options.tls_certificate,
            tls_key=options.tls_key,
            no_journal=options.no_journal,
            guard=dict(options.guard),
        )
        server.start(settings)
    except (SettingsError, bridge.StartError, RuntimeError) as error:
        logs.flush()
        return _refused(str(error).strip().removeprefix("Error: "))
    try:
        _serve_until_asked()
    finally:
        server.stop()
    logs.say("stopped")
    return EXIT_DONE


def register() -> None:
    """Makes `--command blendwire` known, where Blender has such a thing (4.2 and later)."""
    global _handle
    if hasattr(bpy.utils, "register_cli_command") and _handle is None:
        _handle = bpy.utils.register_cli_command(COMMAND, serve)


def unregister() -> None:
    """Takes it back."""
    global _handle
    if _handle is not None:
        bpy.utils.unregister_cli_command(_handle)
        _handle = None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Serve MCP clients and scripts from this Blender, until Ctrl-C.",
        epilog="example: blender --background scene.blend --command blendwire --port 9876",
    )
    parser.add_argument("--host", help="address to listen on (default: localhost, or as set in the preferences)")
    parser.add_argument("--port", type=_port, help="port to listen on, 0 for any (default: 9876, or as set)")
    parser.add_argument(
        "--other-users",
        action="store_true",
        help="let in programs of other users of this machine too; they can do what you can (default: as set)",
    )
    parser.add_argument(
        "--require-token",
        action="store_true",
        help="clients of this machine need the token too, which `blendwire token` shows (default: as set)",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NETWORK",
        help="where other machines may be that connect with TLS and the token, as 192.168.1.0/24; may be repeated",
    )
    parser.add_argument(
        "--open-to",
        action="append",
        default=[],
        metavar="NETWORK",
        help="where other machines may be that need neither: they can do what you can; may be repeated",
    )
    parser.add_argument(
        "--online-mode",
        action="store_true",
        help="allow online access, which listening for other machines needs (Blender has an option of the same name)",
    )
    parser.add_argument("--tls-certificate", metavar="FILE", help="certificate in PEM (default: as set, or made here)")
    parser.add_argument("--tls-key", metavar="FILE", help="its key in PEM")
    parser.add_argument(
        "--no-journal", action="store_true", help="write no audit journal of the requests (default: as set)"
    )
    parser.add_argument(
        "--guard",
        action="append",
        default=[],
        type=_guard,
        metavar="KIND=RULE",
        help="what scripts may do outside of Blender: files, processes or network = allow or deny (default: as set; "
        "without a window ask is deny); may be given more than once",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help=".blend file to open first")
    return parser


def _port(text: str) -> int:
    try:
        return parse_port(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _guard(text: str) -> tuple[str, str]:
    try:
        return parse_guard(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _open_file(path: str | None) -> None:
    """Opens a .blend. Raises RuntimeError with Blender's own words when that fails."""
    if path is not None:
        bpy.ops.wm.open_mainfile(filepath=os.path.abspath(path))


def _refused(reason: str) -> int:
    logs.say(f"error: {reason}")
    return EXIT_FAILED


def _serve_until_asked() -> None:
    endpoints = ", ".join(server.server_status()["endpoints"])
    logs.say(f"serving on {endpoints} (Blender {bpy.app.version_string}, Ctrl-C stops)")
    # Suppressed: an interruption that arrived between two scripts has nobody to tell.
    with logs.flushed_by_a_thread(), _signals(), _quit_ends_the_loop(), suppress(KeyboardInterrupt):
        bridge.serve()


@contextmanager
def _signals() -> Iterator[None]:
    """Has SIGINT and SIGTERM end the loop, and puts Blender's own handlers back."""
    signals_seen = 0

    def handle(number: int, _frame: object) -> None:
        nonlocal signals_seen
        signals_seen += 1
        bridge.request_stop()
        if not bridge.is_executing():
            return
        if number == signal.SIGINT or signals_seen > 1:
            raise KeyboardInterrupt("Blender is being stopped")
        logs.say("waiting for the running script to end; a second signal interrupts it")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            # None: a handler that Python did not install, which it cannot put back.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextmanager
def _quit_ends_the_loop() -> Iterator[None]:
    """Has `bpy.ops.wm.quit_blender()` end the loop, and with it Blender, after the request that called it.

    Blender's own operator waits for an event loop that a background Blender does not have, and so does nothing.
    """

    def quit_blender(*_args: object, **_properties: object) -> set[str]:
        bridge.request_stop()
        return {"FINISHED"}

    # `bpy.ops` makes a new `wm` at each look-up, but an attribute of its own goes first.
    original = bpy.ops.wm
    wm: Any = ModuleType("bpy.ops.wm")
    wm.__getattr__ = lambda name: getattr(original, name)
    wm.__dir__ = lambda: dir(original)
    wm.quit_blender = quit_blender
    bpy.ops.wm = wm
    try:
        yield
    finally:
        # Not `del`: a script may have done that already.
        vars(bpy.ops).pop("wm", None)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the add-on's messages go: Blender's console, and a short memory of the last ones.

The native core keeps its messages in a ring; `flush` fetches and prints them. The pump calls it a few times a second,
`server` at every start and stop, and in background Blender, where the main thread is inside the core's loop, a thread
of its own (`flushed_by_a_thread`). Writes to the interpreter's own stderr, so that the capture of a running request
does not swallow a line. Any Python thread may call this module; it does not touch bpy.
"""

from __future__ import annotations

import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import bridge

# What fits into the 4096 bytes that a pipe which is ready takes at once, however many bytes a character has.
PIECE_CHARS = 1000
# How many of the last messages are kept, for the reason of a problem.
KEPT = 100
# How often a background Blender prints what the core logged: often enough to read along.
FLUSH_EVERY_SECS = 0.2

_LEVELS = ("debug", "info", "warning", "error")

_kept: deque[tuple[str, str]] = deque(maxlen=KEPT)
_lowest = _LEVELS.index("info")


def set_level(level: str) -> None:
    """Drops messages below `level` (debug, info, warning, error) from now on, here and in the core."""
    global _lowest
    _lowest = _LEVELS.index(level)
    bridge.set_log_level(level)


def write(level: str, text: str) -> None:
    """Keeps one message and prints it as `blendwire: level: text`, if its level is wanted."""
    if level in _LEVELS and _LEVELS.index(level) < _lowest:
        return
    _kept.append((level, text))
    say(f"{level}: {text}")


def say(text: str) -> None:
    """Prints `blendwire: text` to the console, whatever the level. Blender on Windows may have no console."""
    console = sys.__stderr__
    if console is None:
        return
    # Suppressed: the terminal that Blender was started from may be gone.
    with suppress(OSError, ValueError):
        text = f"blendwire: {_harmless(text)}\n"
        for start in range(0, len(text), PIECE_CHARS):
            if not _takes_text(console.fileno()):
                return
            print(text[start : start + PIECE_CHARS], end="", file=console, flush=True)


def _harmless(text: str) -> str:
    """The text without what a terminal would obey, since clients choose some of it; and so that none of its further
    lines can pass for a message of ours.
    """
    lines = text.split("\n")
    return "\n  ".join("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines)


def _takes_text(descriptor: int) -> bool:
    """Whether a write would not wait: a pipe that nobody reads is full at some time, and Blender would stand still."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT and not event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def flush() -> None:
    """Prints what the core has logged since the last time."""
    for level, _unix_secs, text in bridge.drain_logs():
        write(level, text)


def last_messages() -> list[str]:
    """The last messages, oldest first, as `level: text`."""
    flush()
    return [f"{level}: {text}" for level, text in _kept]


def last_error() -> str:
    """The last message of level error, or an empty string."""
    return next((text for level, text in reversed(_kept) if level == "error"), "")


@contextmanager
def flushed_by_a_thread() -> Iterator[None]:
    """While it lasts, a thread prints what the core logs: the main thread is busy serving."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(FLUSH_EVERY_SECS):
            flush()

    thread = threading.Thread(target=run, name="blendwire-logs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        flush()

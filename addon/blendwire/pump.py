# SPDX-License-Identifier: GPL-3.0-or-later
"""Lends Blender's main thread to the native core: one persistent timer that ticks every time Blender comes round.

`server` starts and stops it; in a background Blender, where timers never fire, `command_line` takes its place. There
is never more than one: which one counts is kept on `sys`, so that the pump of a reloaded module finds itself replaced
and ends; so does a timer from before the system's clock was set back (`clock`). After work it keeps Blender's loop
awake for a moment (`wake`); a few times a second it prints the core's messages and refreshes the panel's snapshot. No
exception leaves the timer. Main thread only, but for what `clock` calls.
"""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import suppress
from functools import partial

import bpy

from . import bridge, clock, consent, first_client, logs, snapshot, status_bar
from .findings import Finding
from .wake import WindowTimer

# A tick may keep Blender's window waiting this long while requests keep coming: three frames at 60 Hz.
BUDGET_SECS = 0.050
# After a request, how long to wait for the client's next one. A client back to back needs 0.1 ms (measured).
LINGER_SECS = 0.002
# How long Blender's loop is kept awake after the last activity.
AWAKE_SECS = 2.0
# The panel is looked at by people: four times a second is enough, and costs nothing that can be measured.
REFRESH_EVERY_SECS = 0.25

_SLOT = "_blendwire_pump"


class Pump:
    """The state of one timer."""

    def __init__(self) -> None:
        # Counts the timers that this had. Each is an object of its own, by which Blender tells it from others.
        self._number = 0
        self.callback = partial(self._run, self._number)
        self._is_running = False
        # What the clock has to show before Blender calls the timer: not less than at the beginning of the round in
        # which it did so last, but for calls moments later that found nothing to do. And the same of the timer before,
        # until this one is called.
        self._due = self._due_before = 0.0
        # By that clock, too: until then there is only to look for requests, from the last call on.
        self._idle_until = 0.0
        self._wake = WindowTimer()
        self._awake_until = 0.0
        self._next_refresh = 0.0
        self._reported: set[str] = set()
        self._has_failed = False
        self._shows_failure = False

    def release(self) -> None:
        """Lets go of the window timer; it comes back with the next request."""
        self._wake.remove()

    def begin_anew(self) -> None:
        """Goes on with a timer that Blender calls at once, whatever became of the one before.

        Also called by `clock`, on its thread. Blender keeps its timers in a list that only the main thread takes out
        of, and that this appends to with Python's lock held, when nobody else does.
        """
        self._number += 1
        self._idle_until = 0.0
        self._due_before, self._due = max(self._due_before, self._due), time.time()
        self.callback = partial(self._run, self._number)
        bpy.app.timers.register(self.callback, first_interval=0.0, persistent=True)

    def has_stopped(self) -> bool:
        """Whether Blender does not call the timer now, since the clock shows an earlier time; for `clock`, too.

        While it is called, that cannot be told.
        """
        return not self._is_running and time.time() < self._due

    def is_current(self) -> bool:
        """Whether no other has taken its place."""
        return vars(sys).get(_SLOT) is self

    def _run(self, number: int) -> float | None:
        """What Blender calls: 0.0 to be called again as soon as it comes round, None to be forgotten."""
        if number != self._number:
            return None
        try:
            # Else the timer of an idle Blender costs 2.2 % of a core instead of 1.0 (measured in 4.3, which comes round
            # 200 times a second): each line of Python and of the core is cold then.
            if self._due <= time.time() < self._idle_until and bridge.is_idle():
                return 0.0
        except Exception as error:  # A defect in the core.
            self._report(error)
        self._is_running = True
        if self._due_before:
            # The window timer of the time before goes by the same clock.
            self._wake.remove()
        # The first call may be in a round of the timer before, which began when the clock showed more than now.
        self._due, self._due_before = max(self._due_before, time.time()), 0.0
        try:
            return self._step(number)
        finally:
            self._is_running = False

    def _step(self, number: int) -> float | None:
        for step in (self._serve, self._refresh):
            # A script that ran in the first step may have stopped the server, or registered the add-on anew.
            if number != self._number or not self.is_current():
                return None
            try:
                step()
            except BaseException as error:
                # Blender drops a timer that raises.
                self._report(error)
        return 0.0 if number == self._number and self.is_current() else None

    def _serve(self) -> None:
        worked = bridge.tick(BUDGET_SECS, LINGER_SECS)
        now = time.monotonic()
        if worked and self.is_current():
            self._awake_until = now + AWAKE_SECS
            self._wake.add()
            self._idle_until = 0.0
        elif now > self._awake_until:
            self._wake.remove()
            self._idle_until = self._due + self._next_refresh - now

    def _refresh(self) -> None:
        """A few times a second: messages, the state of the server, the panel."""
        now = time.monotonic()
        if now < self._next_refresh:
            return
        self._next_refresh = now + REFRESH_EVERY_SECS
        logs.flush()
        if not bridge.is_running():
            text = f"The server has ended by itself; press Start ({logs.last_error() or 'no reason was logged'})"
            bridge.set_finding(Finding("listens", text))
            stop()
        elif self._shows_failure and not self._has_failed:
            self._shows_failure = False
            bridge.set_finding(bridge.version_finding())
        self._has_failed = False
        if snapshot.refresh():
            snapshot.redraw()
        if snapshot.current().last_line or snapshot.current().running_line:
            first_client.remember()
        status_bar.redraw()
        consent.pop_up(snapshot.current().consent)

    def _report(self, error: BaseException) -> None:
        """Shows an error as the problem until it is over, and logs it once, however often it comes back."""
        self._has_failed = self._shows_failure = True
        text = f"{type(error).__name__}: {error}"
        bridge.set_finding(Finding("defects", f"Serving requests fails: {text}"))
        if text in self._reported:
            return
        self._reported.add(text)
        # Suppressed: nothing is left to report to where reporting fails.
        with suppress(Exception):
            logs.write("error", "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())


def start() -> None:
    """Starts the pump, unless this module's own runs already; one of an earlier load of the module is replaced."""
    current = vars(sys).get(_SLOT)
    if isinstance(current, Pump) and bpy.app.timers.is_registered(current.callback):
        return
    stop()
    pump = Pump()
    vars(sys)[_SLOT] = pump
    pump.begin_anew()
    clock.watch(pump)


def stop() -> None:
    """Ends the pump, whichever load of the module it comes from. Its timer goes when Blender calls it next."""
    release_window_timer()
    vars(sys).pop(_SLOT, None)


def release_window_timer() -> None:
    """Lets go of the window timer, before its window may go."""
    if (current := vars(sys).get(_SLOT)) is not None:
        current.release()

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server is to be started with, and whether that is allowed.

Owns the defaults, the checks of every value (each answers with a reason written for the user) and the order of
sources: command line, then `BLENDWIRE_BIND`, then the user's preferences, then the defaults. Called by `server`,
`command_line` and, for the checks, by `preferences`. It starts nothing and draws nothing. Main thread only, since it
reads Blender's preferences.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import bpy

from . import access
from .findings import RefusedError

BIND_VARIABLE = "BLENDWIRE_BIND"
# Another folder for what is kept between starts: the audit journal. `blendwire logs` reads it too.
STATE_VARIABLE = "BLENDWIRE_STATE_DIR"
# Kinds that have a rule for what scripts do outside of Blender, and the rules.
GUARDED = ("files", "processes", "network")
RULES = ("allow", "ask", "deny")
LOG_LEVELS = ("debug", "info", "warning", "error")
# Below 1024 a system asks for privileges; the preferences do not offer those.
PORT_MIN, PORT_MAX = 1024, 65535
# What clients may use beyond the plain protocol, unless the user forbids it: name on the wire, label, description.
FEATURES = (
    ("stream", "Streaming", "Clients see what a script prints while it runs, and how far it is"),
    ("session", "Sessions", "Clients keep variables from one request to the next"),
    ("undo", "Undo and Redo", "Clients undo and redo in Blender"),
    ("rollback", "Rollback", "Clients have what a failed script did taken back"),
    ("changes", "Changes", "Clients learn what a script did to the file"),
    ("consent", "Consent", "Clients pass on what you have answered them where a guard rule asks"),
    ("immediate_control", "Immediate Control", "Clients get answers about the server out of turn"),
)


class SettingsError(RefusedError):
    """A value that is refused; the text is written for the user."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides how the server is started."""

    host: str = "localhost"
    port: int = 9876
    auto_start: bool = True
    next_free_port: bool = False
    log_level: str = "info"
    # 0 is none. Off by default: clients that know nothing of limits render for hours.
    time_limit_secs: float = 0.0
    undo_steps: bool = True
    # Off by default: whoever is let in can do what Blender's user can.
    other_users: bool = False
    # Off by default: clients that people have cannot send one.
    require_token: bool = False
    # Addresses and networks, separated by commas or blanks.
    allowed_clients: str = ""
    open_networks: str = ""
    # Paths of PEM files; empty for a certificate that is made on demand.
    tls_certificate: str = ""
    tls_key: str = ""
    journal: bool = True
    # Allowed by default: what a client may do was always what the user may.
    guard_files: str = "allow"
    guard_processes: str = "allow"
    guard_network: str = "allow"
    features: frozenset[str] = frozenset(name for name, _, _ in FEATURES)

    @property
    def forbidden_features(self) -> list[str]:
        """Names of what clients may not use."""
        return [name for name, _, _ in FEATURES if name not in self.features]


DEFAULTS = Settings()


def unbracketed(host: str) -> str:
    """`[::1]` as `::1`; anything else without the blanks around it."""
    host = host.strip()
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def parse_port(text: str) -> int:
    """The port number in `text`: 1 to 65535, or 0 for one that the system picks.

    # Errors
    SettingsError when it is none.
    """
    if not (text.isascii() and text.isdigit()) or int(text) > PORT_MAX:
        raise SettingsError("config", f"“{text}” is not a port: use a number up to {PORT_MAX}")
    return int(text)


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port out of `host:port`; an IPv6 address stands in brackets.

    # Errors
    SettingsError when the text has another form, or the port is none. The host is checked later, by `checked`.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host:
        raise SettingsError("config", f"“{text}” should read host:port, as in localhost:9876 or [::1]:9876")
    if ":" in host and not host.startswith("["):
        raise SettingsError("config", f"An IPv6 address stands in brackets, as in [::1]:9876, not “{text}”")
    return unbracketed(host), parse_port(port)


def checked(settings: Settings) -> Settings:
    """The same settings, if the server may be started with them.

    # Errors
    SettingsError with the reason why not.
    """
    settings = replace(settings, host=unbracketed(settings.host))
    if found := access.finding(settings):
        raise SettingsError(*found)
    return settings


def preferences() -> Any:
    """What Blender keeps for this add-on with the user's preferences; None where it keeps nothing.

    That is so when a script enabled it with `default_set=False`, and in `python -m blendwire`.
    """
    return getattr(bpy.context.preferences.addons.get(__package__), "preferences", None)


def stored() -> Settings:
    """The user's preferences, unchecked; the defaults where there are none."""
    values = preferences()
    if values is None:
        return DEFAULTS
    found = {name: _value(values, name) for name in Settings.__dataclass_fields__}
    # Preferences of another version, or a script that wrote past the properties, leave a choice that is none.
    if found["log_level"] not in LOG_LEVELS:
        found["log_level"] = DEFAULTS.log_level
    for rule in (f"guard_{kind}" for kind in GUARDED):
        if found[rule] not in RULES:
            found[rule] = "deny"
    return Settings(**{**found, "features": frozenset(found["features"])})


def _value(values: Any, name: str) -> Any:
    """One preference; its default where Blender has none, or cannot read what it has (bytes that are no UTF-8)."""
    default = getattr(DEFAULTS, name)
    try:
        return getattr(values, name, default)
    except ValueError:
        return default


def forced_bind() -> str:
    """The text of `BLENDWIRE_BIND`, or an empty string."""
    return os.environ.get(BIND_VARIABLE, "").strip()


def state_dir() -> str:
    """The text of `BLENDWIRE_STATE_DIR`, or an empty string."""
    return os.environ.get(STATE_VARIABLE, "").strip()


def parse_guard(text: str) -> tuple[str, str]:
    """Kind and rule out of `kind=rule`.

    # Errors
    SettingsError when there is no such kind or rule.
    """
    kind, _, rule = text.partition("=")
    if kind not in GUARDED or rule not in RULES:
        raise SettingsError("config", f"“{text}” should read KIND=RULE: {', '.join(GUARDED)}; {', '.join(RULES)}")
    return kind, rule


def effective(
    host: str | None = None,
    port: int | None = None,
    *,
    no_journal: bool = False,
    guard: Mapping[str, str] | None = None,
    **given: Any,
) -> Settings:
    """Checked settings from all sources; `host`, `port` and `given` (by their names in Settings) are those of the
    command line. What is None, False or empty there is not given; `no_journal` switches the journal off, `guard` sets
    rules by kind.

    An address given by command line or environment is meant exactly: the next free port is not tried then.

    # Errors
    SettingsError with the reason; for a wrong variable it names the variable.
    """
    settings = replace(stored(), **{name: value for name, value in given.items() if value})
    # Told first, and not as the variable's fault.
    problem = access.networks_problem(settings.allowed_clients)
    problem = problem or access.open_networks_problem(settings.open_networks)
    if problem:
        raise SettingsError("config", problem)
    if (bind := forced_bind()) and (host is None or port is None):
        try:
            bind_host, bind_port = parse_bind(bind)
            settings = replace(settings, host=bind_host, port=bind_port, next_free_port=False)
            if found := access.host_finding(bind_host, settings.allowed_clients, settings.open_networks):
                raise SettingsError(*found)
        except SettingsError as error:
            raise SettingsError(error.finding.check, f"Environment variable {BIND_VARIABLE}: {error}") from None
    if host is not None:
        settings = replace(settings, host=host, next_free_port=False)
    if port is not None:
        settings = replace(settings, port=port, next_free_port=False)
    rules: dict[str, Any] = {f"guard_{kind}": rule for kind, rule in (guard or {}).items()}
    return checked(replace(settings, journal=settings.journal and not no_journal, **rules))


def names_endpoints(settings: Settings, endpoints: Iterable[str]) -> bool:
    """Whether a server on `endpoints` (`host:port`) is where `settings` ask for one."""
    hosts = {"127.0.0.1", "::1"} if settings.host == "localhost" else {unbracketed(settings.host)}
    for endpoint in endpoints:
        host, _, port = endpoint.rpartition(":")
        if unbracketed(host) in hosts and port == str(settings.port):
            return True
    return False

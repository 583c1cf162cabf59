# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where to listen, and how.

Kept by Blender with the user's own preferences, never in a .blend. Values are read through `settings`, which also
checks them; what is refused is said under the field. Changes take effect with the next start, those of the log level,
of undo steps and of guard rules at once.
Main thread only.
"""

# No `from __future__ import annotations` here: Blender reads the properties out of the annotations.
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from . import access, bridge, drawing, history, logs, settings, snapshot
from .snapshot import Snapshot

# What the frame of the preferences takes of the region's width, at scale 1.
MARGIN_PIXELS = 120


def _log_level_changed(preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    if preferences.log_level in settings.LOG_LEVELS:
        logs.set_level(preferences.log_level)


def _undo_steps_changed(preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    history.records_steps = preferences.undo_steps


def _guard_changed(preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    """Holds at once. A client's script may not: what it has set is put back."""
    try:
        bridge.set_guard(settings.stored())
    except PermissionError as error:
        for kind, rule in bridge.guard_rules().items():
            # Where they differ: setting it brings us here again.
            if getattr(preferences, f"guard_{kind}") != rule:
                logs.write("warning", str(error))
                setattr(preferences, f"guard_{kind}", rule)


def _guard_rule(name: str, what: str) -> Any:
    return EnumProperty(
        name=name,
        description=f"{what}: whether scripts of clients may, as far as Python tells of it",
        items=[
            ("allow", "Allow", "Scripts of clients may"),
            ("ask", "Ask", "You are asked before a script is run that visibly wants to; what was not seen is refused"),
            ("deny", "Deny", "It is refused, with an exception in the script"),
        ],
        default="allow",
        update=_guard_changed,
    )


class BlendwirePreferences(bpy.types.AddonPreferences):
    """Where to listen, and how"""

    bl_idname = __package__

    host: StringProperty(
        name="Address",
        description="Where to listen: localhost (both 127.0.0.1 and ::1) for this machine alone; one of its addresses, "
        "or 0.0.0.0 for all, lets in the clients that are allowed below",
        default=settings.DEFAULTS.host,
    )
    port: IntProperty(
        name="Port",
        description="The port that clients connect to",
        default=settings.DEFAULTS.port,
        min=settings.PORT_MIN,
        max=settings.PORT_MAX,
    )
    next_free_port: BoolProperty(
        name="Next Free Port When Taken",
        description="Where another program has the port, listen on the next one that is free",
        default=settings.DEFAULTS.next_free_port,
    )
    auto_start: BoolProperty(
        name="Start with Blender",
        description="Start the server with Blender, and when the add-on is enabled",
        default=settings.DEFAULTS.auto_start,
    )
    time_limit_secs: FloatProperty(
        name="Time Limit",
        description="Interrupt scripts of clients that set no limit of their own after this many seconds of waiting "
        "and running; 0 for no limit",
        default=settings.DEFAULTS.time_limit_secs,
        min=0.0,
        soft_max=3600.0,
        step=100,
        precision=0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )
    other_users: BoolProperty(
        name="Other Users of This Machine",
        description="Let in programs of other users of this machine too. They can do what you can do: read and write "
        "your files, start programs. Off, only your own programs and the superuser's get in, where the system tells "
        "them apart (Linux)",
        default=settings.DEFAULTS.other_users,
    )
    require_token: BoolProperty(
        name="Require a Token",
        description="Programs of this machine need the token too, which the command “blendwire token” shows. Clients "
        "that cannot send one, the official connector and mcp-for-blender among them, are then refused",
        default=settings.DEFAULTS.require_token,
    )
    allowed_clients: StringProperty(
        name="Allowed Clients",
        description="Addresses and networks of other machines that may connect, with TLS and the token: "
        "192.168.1.20, 192.168.1.0/24. Needs an address above that they can reach",
        default=settings.DEFAULTS.allowed_clients,
    )
    open_networks: StringProperty(
        name="Open Networks",
        description="Networks whose machines may connect without TLS and token, for clients that can do neither. "
        "Whoever is there can do what you can: only for networks that you trust as much as this machine, such as a "
        "container bridge",
        default=settings.DEFAULTS.open_networks,
    )
    tls_certificate: StringProperty(
        name="TLS Certificate",
        description="Certificate in PEM, with its chain; empty for one that is made here on demand",
        default=settings.DEFAULTS.tls_certificate,
        subtype="FILE_PATH",
    )
    tls_key: StringProperty(
        name="TLS Key",
        description="The certificate's private key in PEM, readable by you alone",
        default=settings.DEFAULTS.tls_key,
        subtype="FILE_PATH",
    )
    undo_steps: BoolProperty(
        name="Undo Steps",
        description="Make each request that changes the file an undo step of its own",
        default=settings.DEFAULTS.undo_steps,
        update=_undo_steps_changed,
    )
    journal: BoolProperty(
        name="Audit Journal",
        description="Write down each request: when, who, its code, how it ended, which files it wrote, which processes "
        "it started and which hosts it contacted. Kept in files that only you can read; see “blendwire logs”",
        default=settings.DEFAULTS.journal,
    )
    guard_files: _guard_rule("Writing Files", "Write, rename or remove files outside of Blender's own temporary folder")
    guard_processes: _guard_rule("Processes", "Start other programs, or send them signals")
    guard_network: _guard_rule("Network", "Look up and contact hosts, or listen on ports")
    features: EnumProperty(
        name="Clients May Use",
        description="What clients may use beyond running scripts",
        items=list(settings.FEATURES),
        options={"ENUM_FLAG"},
        default=set(settings.DEFAULTS.features),
    )
    # No choice of the user's, and not drawn: see `first_client`.
    had_client: BoolProperty(name="A Client Has Connected", default=False, options={"HIDDEN"})
    log_level: EnumProperty(
        name="Log Level",
        description="What is written to the console that Blender was started from",
        items=[
            ("debug", "Debug", "Everything, with each connection"),
            ("info", "Info", "Start and stop, and what follows"),
            ("warning", "Warning", "What may be wrong, and what is"),
            ("error", "Error", "Only what is wrong"),
        ],
        default=settings.DEFAULTS.log_level,
        update=_log_level_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        now = snapshot.current()
        width = context.region.width - MARGIN_PIXELS * context.preferences.system.ui_scale
        # First of all: whoever looks here has often just enabled it.
        drawing.first_client(self.layout, now, width)
        self._draw_fields(width)
        box = self.layout.box()
        drawing.state_line(box, now, width)
        if now.is_running:
            box.label(text=", ".join(now.endpoints), icon="LINKED")
        if now.journal:
            drawing.paragraph(box, f"Audit journal: {now.journal}", width)
        for note in self._notes(now):
            drawing.paragraph(box, note, width)
        drawing.buttons(box, now)

    def _draw_fields(self, width: float) -> None:
        layout = self.layout
        layout.use_property_split = True
        host = settings.unbracketed(settings.stored().host)
        found = access.host_finding(host, self.allowed_clients, self.open_networks)
        self._checked("host", found.text if found else "", width)
        layout.prop(self, "port")
        layout.prop(self, "next_free_port")
        layout.prop(self, "auto_start")
        layout.prop(self, "other_users")
        layout.prop(self, "require_token")
        self._checked("allowed_clients", access.networks_problem(self.allowed_clients), width)
        self._checked("open_networks", access.open_networks_problem(self.open_networks), width)
        self._tls_file("tls_certificate", "tls_key", "certificate", width)
        self._tls_file("tls_key", "tls_certificate", "key", width)
        layout.prop(self, "undo_steps")
        layout.prop(self, "journal")
        layout.prop(self, "time_limit_secs")
        column = layout.column()
        # Above the fields: beside them are their own labels.
        heading = column.split(factor=0.4)
        heading.column()
        heading.label(text="Guard Rules: What Scripts May Do")
        for kind in settings.GUARDED:
            column.prop(self, f"guard_{kind}")
        layout.column(heading="Clients May Use").prop(self, "features")
        layout.prop(self, "log_level")

    def _checked(self, name: str, problem: str, width: float) -> None:
        """A field, and under it why its value is refused."""
        row = self.layout.row()
        row.alert = bool(problem)
        row.prop(self, name)
        if problem:
            drawing.paragraph(self.layout, problem, width, alert=True)

    def _tls_file(self, name: str, other: str, what: str, width: float) -> None:
        """One file of the pair: it has to be there, and not without the other."""
        path = getattr(self, name)
        problem = access.file_problem(path, what) or access.missing_problem(path, getattr(self, other), what)
        self._checked(name, problem, width)

    def _notes(self, now: Snapshot) -> list[str]:
        """What a user should know about the fields above."""
        if bind := settings.forced_bind():
            return [f"The environment variable {settings.BIND_VARIABLE} ({bind}) goes before address and port above"]
        if not now.is_running or settings.names_endpoints(settings.stored(), now.endpoints):
            return []
        if self.next_free_port and not now.endpoint.endswith(f":{self.port}"):
            return [f"It listens elsewhere than set above: port {self.port} was taken, or restart to apply the change"]
        return ["It listens elsewhere than set above: restart to apply the change"]


CLASSES = (BlendwirePreferences,)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaves on the wire as the add-on of Blender's official connector does, which no registry has: JSON with a NUL, one
request per connection, read 4 KB at a time when a timer looks (every 250 ms, every second when idle), `execute` and
nothing else, no ids, no events; a script that leaves a callable `check_is_finished` is answered when that gives
something. It is a Blender: what it is sent runs in `bpy`."""

import contextlib
import io
import json
import select
import socket
import sys
import time
import traceback

import bpy

ACTIVE_SECS, IDLE_SECS, READ_BYTES = 0.25, 1.0, 4096


def encoded(result, strict):
    return json.loads(json.dumps(result) if strict else json.dumps(result, default=repr))


def answer(request):
    """The reply, and what is to be asked for the result where that comes later."""
    later = None
    if request.get("type") != "execute":
        return {"status": "error", "message": f"Unknown command type: {request.get('type')}"}, None
    namespace, printed = {"bpy": bpy, "result": None}, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(request["code"], namespace)
        reply = {"status": "ok", "result": encoded(namespace["result"], request["strict_json"])}
        later = namespace.get("check_is_finished")
    except Exception:
        reply = {"status": "error", "message": traceback.format_exc()}
    return {**reply, "stdout": printed.getvalue()}, later


def main(port):
    server = socket.create_server(("localhost", port))
    server.setblocking(False)
    clients, waiting = {}, {}
    print("listening", flush=True)
    while True:
        time.sleep(ACTIVE_SECS if clients or waiting else IDLE_SECS)
        for client, (first, later) in list(waiting.items()):
            try:
                if (result := later()) is None:
                    continue
                reply = {**first, "result": encoded(result, False)}
            except Exception:
                reply = {"status": "error", "message": traceback.format_exc(), "stdout": first["stdout"]}
            del waiting[client]
            with contextlib.suppress(OSError):
                client.sendall(json.dumps(reply).encode() + b"\0")
            client.close()
        with contextlib.suppress(BlockingIOError):
            clients[server.accept()[0]] = b""
        for client in select.select(list(clients), [], [], 0)[0]:
            data = client.recv(READ_BYTES)
            clients[client] += data
            message, end, _ = clients[client].partition(b"\0")
            if not end and data:
                continue
            del clients[client]
            reply, later = answer(json.loads(message)) if end else (None, None)
            if later:
                waiting[client] = reply, later
                continue
            if reply:
                client.sendall(json.dumps(reply).encode() + b"\0")
            client.close()


main(int(sys.argv[1]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaves on the wire as the add-on of Blender's official connector does, which no registry has: JSON with a NUL, one
request per connection, read 4 KB at a time when a timer looks (every 250 ms, every second when idle), `execute` and
nothing else, no ids, no events. It is a Blender: what it is sent runs in `bpy`."""

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


def answer(request):
    if request.get("type") != "execute":
        return {"status": "error", "message": f"Unknown command type: {request.get('type')}"}
    namespace, printed = {"bpy": bpy, "result": None}, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(request["code"], namespace)
        result = namespace["result"]
        text = json.dumps(result) if request["strict_json"] else json.dumps(result, default=repr)
        reply = {"status": "ok", "result": json.loads(text)}
    except Exception:
        reply = {"status": "error", "message": traceback.format_exc()}
    return {**reply, "stdout": printed.getvalue()}


def main(port):
    server = socket.create_server(("localhost", port))
    server.setblocking(False)
    clients = {}
    print("listening", flush=True)
    while True:
        time.sleep(ACTIVE_SECS if clients else IDLE_SECS)
        with contextlib.suppress(BlockingIOError):
            clients[server.accept()[0]] = b""
        for client in select.select(list(clients), [], [], 0)[0]:
            data = client.recv(READ_BYTES)
            clients[client] += data
            message, end, _ = clients[client].partition(b"\0")
            if end:
                client.sendall(json.dumps(answer(json.loads(message))).encode() + b"\0")
            if end or not data:
                del clients[client]
                client.close()


main(int(sys.argv[1]))

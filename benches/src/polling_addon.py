# SPDX-License-Identifier: GPL-3.0-or-later
"""An add-on of the origin's design: a socket thread puts requests into a queue that a timer empties every 50 ms."""

import json
import os
import queue
import socket
import threading

import bpy

requests = queue.Queue()


def serve(client):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with client:
        while chunk := client.recv(65536):
            received += chunk
            while b"\0" in received:
                text, received = received.split(b"\0", 1)
                answer = queue.Queue()
                requests.put((json.loads(text)["code"], answer))
                client.sendall(json.dumps(answer.get()).encode() + b"\0")


def accept(server):
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def poll():
    while not requests.empty():
        code, answer = requests.get()
        names = {"bpy": bpy, "result": None}
        exec(code, names)
        answer.put({"status": "ok", "result": names["result"]})
    return 0.05


listener = socket.create_server(("127.0.0.1", int(os.environ["POLLING_ADDON_PORT"])))
threading.Thread(target=accept, args=(listener,), daemon=True).start()
bpy.app.timers.register(poll, persistent=True)

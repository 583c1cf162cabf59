# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: what one round trip costs in plain Python, with no Blender and nothing between socket and `exec`."""

import json
import socket
import sys

with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    while True:
        client, _ = server.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        with client:
            while chunk := client.recv(65536):
                received += chunk
                while b"\0" in received:
                    text, received = received.split(b"\0", 1)
                    names = {"result": None}
                    exec(json.loads(text)["code"], names)
                    client.sendall(json.dumps({"status": "ok", "result": names["result"]}).encode() + b"\0")

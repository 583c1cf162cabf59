# SPDX-License-Identifier: GPL-3.0-or-later
"""A TLS client for the tests: sends what stands on stdin inside TLS and prints all that comes back.

`tls_client.py HOST PORT LAYERS [ALPN]`: with LAYERS 2, TLS inside TLS. Whoever the server is, it is believed.
"""

import socket
import ssl
import sys


def unverified(alpn: list[str]) -> ssl.SSLContext:
    """A context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def shake_hands_inside(outer: ssl.SSLSocket) -> bytes:
    """Begins another handshake inside `outer`; returns what the server said instead of its part of it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = unverified([]).wrap_bio(incoming, outgoing, server_hostname="localhost")
    said = b""
    while True:
        try:
            inner.do_handshake()
            sys.exit("TLS inside TLS was served")
        except ssl.SSLWantReadError:
            outer.sendall(outgoing.read())
        except ssl.SSLError:
            return said + rest_of(outer)
        data = outer.recv(65536)
        if not data:
            return said
        said += data
        incoming.write(data)


def rest_of(connection: ssl.SSLSocket) -> bytes:
    """Everything up to a NUL, or until the server closes, politely or not."""
    said = b""
    try:
        while not said.endswith(b"\0") and (data := connection.recv(65536)):
            said += data
    except (ConnectionError, ssl.SSLError):
        pass
    return said


def main() -> None:
    host, port, layers, *alpn = sys.argv[1:]
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        unverified(alpn).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        if layers == "2":
            said = shake_hands_inside(connection)
        else:
            connection.sendall(sys.stdin.buffer.read())
            said = rest_of(connection)
    sys.stdout.buffer.write(said)


main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""The last messages of Blendwire inside Blender."""


def main():
    try:
        from blendwire import server_log
    except ImportError:
        return {"status": "error", "message": "the add-on in Blender is another one, or older: it gives no log"}
    return {"status": "ok", "text": "\n".join(server_log())}

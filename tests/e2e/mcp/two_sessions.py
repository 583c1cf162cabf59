# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clients of one server over HTTP, each of which chooses another Blender.

    two_sessions.py URL TOKEN ID ID

Prints the processes that their scripts then run in, or what the server says to their choice.
"""

import asyncio
import sys
from typing import Any

from call_every_tool import connected, is_error, structured, text


async def process_of(session: Any) -> str:
    """The Blender that a script of this client runs in."""
    result = await session.call_tool("execute_blender_code", {"code": "import os\nresult = os.getpid()"})
    return text(result) if is_error(result) else str(structured(result)["result"])


async def main(url: str, token: str, first: str, second: str) -> None:
    """Both choose before either runs something."""
    async with connected("http", [url, token]) as one, connected("http", [url, token]) as other:
        for session, instance in ((one, first), (other, second)):
            result = await session.call_tool("select_blender_instance", {"id": instance})
            if is_error(result):
                print(text(result))
                return
        print(await process_of(one), await process_of(other))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

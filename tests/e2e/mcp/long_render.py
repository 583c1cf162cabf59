# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders a picture that takes long, as a client does that waits for no answer longer than a minute.

    long_render.py stdio COMMAND ARGUMENT…
    long_render.py http URL TOKEN

It makes two files in the tests' folder: `heard` when it is told for the first time how far the render is, and
`outlasted` when it has been told that the render goes on.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from call_every_tool import connected, is_error, structured, text

# What the TypeScript SDK gives an answer, and most clients with it.
TIMEOUT_SECS = 60.0


async def main(way: str, arguments: list[str]) -> None:
    """Waits as the tools advise."""
    folder = Path(os.environ["BLENDWIRE_TEST_FOLDER"])
    heard: list[str] = []
    began = time.monotonic()

    async def told(_progress: float, _total: float | None, message: str | None) -> None:
        heard.append(message or "")
        (folder / "heard").touch()

    async with connected(way, arguments) as session:

        async def call(name: str, given: dict[str, Any]) -> Any:
            called = session.call_tool(name, given, progress_callback=told)
            result = await asyncio.wait_for(called, TIMEOUT_SECS)
            assert not is_error(result), text(result)
            return result

        result = await call("render_image", {"width": 480, "samples": 400})
        waits = 0
        while (structured(result) or {}).get("status") == "running":
            (folder / "outlasted").touch()
            waits += 1
            result = await call("get_job", {"job": structured(result)["job"]})
    assert any(getattr(part, "data", None) for part in result.content), text(result)
    took = time.monotonic() - began
    assert waits and heard, f"{waits} waits of {took:.0f} s, {len(heard)} times told how far it is"
    print(f"a render of {took:.0f} s over {way}: {waits} waits, {len(heard)} times told how far it is")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

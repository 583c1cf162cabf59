# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks for consent as a client does that is made with MCP's Python SDK, in either version.

    consent.py CODE ANSWER stdio COMMAND ARGUMENT…
    consent.py CODE ANSWER http URL TOKEN

Prints what the call came to.
"""

import asyncio
import sys
from typing import Any

import mcp
from call_every_tool import connected, is_error, structured, text


async def main(code: str, answer: str, way: str, arguments: list[str]) -> None:
    """Calls once, as a user who gives the one answer."""
    questions = []

    async def asked(_context: Any, params: Any) -> mcp.types.ElicitResult:
        questions.append(params.message)
        return mcp.types.ElicitResult(action="accept", content={"answer": answer})

    async with connected(way, arguments, elicitation_callback=asked) as session:
        result = await session.call_tool("execute_blender_code", {"code": code, "title": "Write notes"})
    assert len(questions) == 1, questions
    assert "Write notes" in questions[0], questions
    print(text(result) if is_error(result) else structured(result)["result"])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls every tool of a server, as a client that is made with MCP's Python SDK does.

The SDK itself checks each result against the output schema of its tool, which leaves most open, since the list of tools
has little room. So each is also checked against the type that the documents are made of: `answers.json` in the tests'
folder has the schemas. Versions 1 and 2 of the SDK both run this.

    call_every_tool.py stdio COMMAND ARGUMENT…
    call_every_tool.py http URL TOKEN
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

import jsonschema
import mcp

Arguments = dict[str, Any]
Call = Callable[[str, Arguments], Awaitable[Any]]

# Renders soon be done, without a graphics card too.
QUICK = """scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = 'CYCLES', 1, False
scene.render.resolution_x = scene.render.resolution_y = 32
result = bpy.data.objects['Cube'].data.name"""

SLEEP = "import time\nprint('asleep')\ntime.sleep(60)"


class Job:
    """Stands for the number of a job, which is begun for the call."""


class Instance:
    """Stands for the Blender that runs."""


class NewFile:
    """Stands for a path that nothing is at."""


# What each tool is called with. Whoever adds a tool adds a line.
CALLS: dict[str, list[Arguments]] = {
    "execute_blender_code": [
        {"code": "result = {'objects': [o.name for o in bpy.data.objects], 'whole': 2**80, 'not': float('nan')}"},
        {"code": "print('é' * 10)\nresult = 'ok'", "title": "Ein Gruß", "rollback": True, "timeout_secs": 20},
        {"code": "result = 'x' * 300_000"},
        {"code": SLEEP, "wait_secs": 0.2, "timeout_secs": 2},
        {"code": "1 / 0"},
        {"code": QUICK},
    ],
    "get_blender_status": [{}],
    "list_blender_instances": [{}],
    "select_blender_instance": [{"id": Instance}],
    "get_objects_summary": [{}],
    "get_object_detail_summary": [{"name": "Cube"}],
    "get_blendfile_summary_datablocks": [{}],
    "get_blendfile_summary_missing_files": [{}],
    "get_blendfile_summary_of_linked_libraries": [{}],
    "get_blendfile_summary_path_info": [{}],
    "get_blendfile_summary_usage_guess": [{}],
    "get_screenshot_of_window_as_image": [{}],
    "get_screenshot_of_area_as_image": [{"area_ui_type": "OUTLINER", "size_limit_in_bytes": 30_000}],
    "get_screenshot_of_window_as_json": [{}],
    "jump_to_tab_by_name": [{"name": "Layout"}],
    "jump_to_tab_by_space_type": [{"space_type": "VIEW_3D", "allow_edits": False}],
    "jump_to_view3d_object_by_name": [{"name": "Cube"}],
    "jump_to_view3d_object_data_by_name": [{"name": "Cube", "allow_edits": True}],
    "render_viewport_to_path": [{"output_path": NewFile}],
    "render_thumbnail_to_path": [{"output_path": NewFile}],
    "render_image": [{"width": 32, "height": 32, "samples": 1, "frame": 1, "wait_secs": 120}],
    "search_api_docs": [{"query": "bevel the edges of a mesh", "max_results": 3}],
    "get_python_api_docs": [{"identifier": "bpy.types.Object"}, {"identifier": "bpy.ops.mesh.*"}],
    "get_viewport_image": [{}, {"view": "front", "shading": "wireframe", "width": 320, "height": 200}],
    "undo": [{"steps": 1}],
    "redo": [{"steps": 1}],
    "get_job": [{}, {"job": Job, "wait_secs": 0.1}],
    "cancel_job": [{"job": Job}],
    "launch_blender": [{"file": "/nowhere/there-is-no-such.blend", "background": True}],
}

# Tools that may say that they could not do it, and the words that they say it with.
REFUSALS: dict[str, list[str]] = {
    "execute_blender_code": ["ZeroDivisionError"],
    "list_blender_instances": ["drives one Blender"],
    "select_blender_instance": ["drives one Blender", "keeps no session"],
    "launch_blender": ["already: use that one", "inside a Blender that runs already"],
}

# The same for a Blender without a window.
WITHOUT_WINDOW = {
    "undo": ["without a window"],
    "redo": ["without a window"],
    "get_screenshot_of_window_as_image": ["window"],
    "get_screenshot_of_area_as_image": ["window"],
    "get_screenshot_of_window_as_json": ["window"],
    "jump_to_tab_by_name": ["window"],
    "jump_to_tab_by_space_type": ["window"],
    "jump_to_view3d_object_by_name": ["window"],
    "jump_to_view3d_object_data_by_name": ["window"],
}


@contextlib.asynccontextmanager
async def connected(way: str, arguments: list[str], **options: Any) -> AsyncIterator[Any]:
    """A session: the newest revision that the SDK knows, with a handshake where it wants one."""
    if way == "stdio":
        command = mcp.StdioServerParameters(command=arguments[0], args=arguments[1:], env=dict(os.environ))
        transport = mcp.stdio_client(command)
    else:
        url, token = arguments
        from mcp.client.streamable_http import streamable_http_client

        try:
            import httpx2 as httpx
        except ImportError:
            import httpx
        http_client = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120)
        transport = streamable_http_client(url, http_client=http_client)
    if hasattr(mcp, "Client"):
        async with mcp.Client(transport, **options) as client:
            yield client
        return
    async with transport as streams, mcp.ClientSession(streams[0], streams[1], **options) as session:
        await session.initialize()
        yield session


def structured(result: Any) -> Any:
    """What the first version of the SDK calls otherwise."""
    return getattr(result, "structured_content", None) or getattr(result, "structuredContent", None)


def is_error(result: Any) -> bool:
    """Likewise."""
    return bool(getattr(result, "is_error", False) or getattr(result, "isError", False))


def text(result: Any) -> str:
    """All text of a result."""
    return "".join(getattr(part, "text", "") for part in result.content)


def check_answer(name: str, value: Any, schemas: dict[str, Any]) -> None:
    """Fails where a result is not of the type that is documented, or has more in it."""
    stands_for_another = "too_large" in value or (value.get("status") == "running" and "job" in value)
    if stands_for_another or name not in schemas:
        return
    # Asked for none, `get_job` lists all.
    for answer in value["jobs"] if name == "get_job" and "jobs" in value else [value]:
        jsonschema.validate(answer, schemas[name])
        more = set(answer) - set(schemas[name]["properties"])
        is_open = schemas[name].get("additionalProperties")
        assert is_open or not more, f"{name} answers with what is not documented: {more}"


async def read_pages(session: Any, told: dict[str, Any]) -> None:
    """Reads a result that was too large for one answer."""
    address, whole = told["first_page"].removesuffix("1"), ""
    for page in range(1, told["pages"] + 1):
        whole += (await session.read_resource(f"{address}{page}")).contents[0].text
    assert len(whole.encode()) == told["bytes"], f"{told}: {len(whole.encode())} bytes came"
    json.loads(whole)


async def value_of(call: Call, value: Any) -> Any:
    """A value of an argument, or what stands for it."""
    if value is Job:
        begun = structured(await call("execute_blender_code", {"code": SLEEP, "wait_secs": 0, "timeout_secs": 1}))
        assert begun["status"] == "running", begun
        return begun["job"]
    if value is Instance:
        listed = structured(await call("list_blender_instances", {}))
        # Inside Blender there is one, which needs no choosing.
        return listed["instances"][0]["id"] if listed else "the one"
    if value is NewFile:
        return os.path.join(tempfile.mkdtemp(dir=os.environ["BLENDWIRE_TEST_FOLDER"]), "new.png")
    return value


async def main(way: str, arguments: list[str]) -> None:
    """Calls all of them, and says what it called."""
    async with connected(way, arguments) as session:
        tools = (await session.list_tools()).tools
        names = [tool.name for tool in tools]
        fixtures = [name for name in names if name.startswith("test_")]
        assert not fixtures, f"what ships must not have tools for tests, but has {fixtures}"
        unknown = [name for name in names if name not in CALLS]
        assert not unknown, f"new tools: give them arguments in CALLS of {__file__}: {unknown}"
        gone = [name for name in CALLS if name not in names]
        assert not gone, f"these tools are gone: take them out of CALLS of {__file__}: {gone}"
        background = structured(await session.call_tool("get_blender_status", {}))["background"]
        refusals = REFUSALS | (WITHOUT_WINDOW if background else {})
        with open(os.path.join(os.environ["BLENDWIRE_TEST_FOLDER"], "answers.json")) as file:
            schemas = json.load(file)
        calls = refused = in_pages = 0
        for name in names:
            for written in CALLS[name]:
                given = {key: await value_of(session.call_tool, value) for key, value in written.items()}
                # What is no result of a tool is raised here; and what does not match its output schema.
                result = await session.call_tool(name, given)
                calls += 1
                said = text(result)
                if is_error(result):
                    refused += 1
                    assert any(words in said for words in refusals.get(name, [])), f"{name} {given}: {said}"
                else:
                    is_picture = any(getattr(part, "data", None) for part in result.content)
                    value = structured(result)
                    assert value is not None or is_picture, f"{name} {given}: {result}"
                    check_answer(name, value or {}, {} if value is None else schemas)
                    if value and "too_large" in value:
                        await read_pages(session, value["too_large"])
                        in_pages += 1
        assert in_pages, "no result was too large for one answer"
        negotiated = getattr(session, "protocol_version", None)
        print(
            f"mcp {version('mcp')} over {way}: {len(names)} tools, {calls} calls, {refused} refused, "
            f"none untouched, revision {negotiated}"
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a background Blender runs that opens another file: reads its orders from the folder that it is told, opens the
file, runs the script and leaves the answer there. Scripts that come with the file do not run.
"""

import contextlib
import io
import json
import linecache
import os
import sys
import threading
import traceback

import bpy

NAME = "<script>"


def end_with_parent():
    """The other end of standard input closes with the Blender that wants the answer."""
    os.read(0, 1)
    os._exit(1)


def run(source):
    """Runs it as a request over the wire would run."""
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    namespace = {"__name__": "__main__", "bpy": bpy}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(source, NAME, "exec"), namespace)
        except BaseException as error:
            # The first frame is this one.
            where = error.__traceback__ and error.__traceback__.tb_next
            told = "".join(traceback.format_exception(type(error), error, where))
            return {"status": "error", "message": told, "stdout": printed.getvalue()}
    return {"status": "ok", "result": namespace.get("result"), "stdout": printed.getvalue()}


def open_and_run(blend_file, script):
    """The answer as a dictionary."""
    try:
        if not bpy.app.binary_path:
            # The module begins with the user's own settings and add-ons.
            bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.wm.open_mainfile(filepath=blend_file, use_scripts=False)
    except RuntimeError as error:
        # Blender raises for whatever it reports as an error, also of a file that it has loaded all the same.
        if not (bpy.data.filepath and os.path.samefile(bpy.data.filepath, blend_file)):
            return {"status": "error", "message": f"cannot open {blend_file}: {str(error).strip()}"}
    return run(script)


def main(folder):
    """Entry point."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    with open(os.path.join(folder, "script.json"), encoding="utf-8") as file:
        answer = open_and_run(**json.load(file))
    try:
        text = json.dumps(answer, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({**answer, "result": repr(answer["result"])})
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        file.write(text)


main(sys.argv[-1])

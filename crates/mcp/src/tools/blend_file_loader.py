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
import types

import bpy

NAME = "<script>"


def end_with_parent():
    """The other end of standard input closes with the Blender that wants the answer."""
    os.read(0, 1)
    os._exit(1)


def tell_progress_in(folder):
    """Makes `blendwire.progress` of it what it is in a Blender with the add-on."""

    def progress(value, message=""):
        # In one piece, since the other Blender reads it at any moment.
        part = os.path.join(folder, "progress.part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump([min(1.0, max(0.0, float(value))), str(message)], file)
        os.replace(part, os.path.join(folder, "progress.json"))
        return True

    module = types.ModuleType("blendwire", "What scripts may tell of themselves.")
    module.progress = progress
    sys.modules["blendwire"] = module


def printing_to(path):
    """A stream into a file that holds everything at once: the other Blender reads on, also behind a crash."""
    return io.TextIOWrapper(open(path, "wb", buffering=0), "utf-8", "backslashreplace", newline="", write_through=True)


def printed_in(path):
    """All of it."""
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def run(source, output):
    """Runs it as a request over the wire would run; what it prints goes into the file `output`."""
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)
    namespace = {"__name__": "__main__", "bpy": bpy}
    printed = printing_to(output)
    with printed, contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(source, NAME, "exec"), namespace)
        except BaseException as error:
            # The first frame is this one.
            where = error.__traceback__ and error.__traceback__.tb_next
            told = "".join(traceback.format_exception(type(error), error, where))
            return {"status": "error", "message": told, "stdout": printed_in(output)}
    return {"status": "ok", "result": namespace.get("result"), "stdout": printed_in(output)}


def compute_with(devices):
    """Has Cycles compute with these; without them it computes, too, and more slowly."""
    with contextlib.suppress(KeyError, TypeError, AttributeError):
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = devices["type"]
        preferences.get_devices()
        for device in preferences.devices:
            device.use = device.id in devices["used"]


def open_and_run(output, blend_file, script, devices):
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
    if devices:
        compute_with(devices)
    return run(script, output)


def main(folder):
    """Entry point."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    tell_progress_in(folder)
    with open(os.path.join(folder, "script.json"), encoding="utf-8") as file:
        answer = open_and_run(os.path.join(folder, "printed.txt"), **json.load(file))
    try:
        text = json.dumps(answer, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = json.dumps({**answer, "result": repr(answer["result"])})
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        file.write(text)


main(sys.argv[-1])

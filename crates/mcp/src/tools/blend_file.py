# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a script in a background Blender of its own that has opened another file, or a copy of the open one.

The open one is left alone.

The answer is deferred: the main thread starts that process and looks after it between other work, and never waits.
"""

import codecs
import contextlib
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading

import bpy

# How .blend files begin: plain, and compressed by Blender before and since 3.0.
MAGIC = (b"BLENDER", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
# Lines of what it printed that are shown of a Blender that crashed.
SHOWN_LINES = 12

check_is_finished = None


def devices():
    """What Cycles computes with here by the user's preferences, which the other Blender does not read."""
    addon = bpy.context.preferences.addons.get("cycles")
    preferences = addon.preferences if addon else None
    if not preferences or getattr(preferences, "compute_device_type", "NONE") == "NONE":
        return None
    return {"type": preferences.compute_device_type, "used": [each.id for each in preferences.devices if each.use]}


class BackgroundBlender:
    """A process with a folder of its own, from the first poll on.

    It goes with this object, which goes when its request has been answered, cancelled or timed out.
    """

    def __init__(self, blend_file, script, loader):
        self.blend_file, self.script, self.loader = blend_file, script, loader
        self.folder = self.process = self.error = self.copy = None
        self.told = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # Now, on the main thread, where the preferences may be read.
        self.devices = devices()
        if blend_file is None:
            # It goes with this object.
            self.copy = tempfile.TemporaryDirectory(prefix="blendwire-copy-", dir=bpy.app.tempdir)
            self.blend_file = os.path.join(self.copy.name, "copy.blend")
            save_copy(self.blend_file)

    def __call__(self):
        """A poll of a deferred result: None until there is one."""
        # Functions keep their namespace alive, and while that knows this object, cancelling would not let go of it.
        globals().pop("check_is_finished", None)
        if self.process is None:
            # In a thread, which nothing interrupts between the start of the process and our knowing of it.
            starter = threading.Thread(target=self.try_to_start)
            starter.start()
            starter.join()
        if self.error is not None:
            return {"status": "error", "message": f"cannot run a background Blender: {self.error}"}
        has_ended = self.process.poll() is not None
        self.tell_output()
        if has_ended:
            return self.answer()
        self.tell_progress()
        return None

    def tell_output(self):
        """Prints what the script has printed since the last time."""
        # None yet, or never: the file could not be opened there.
        with contextlib.suppress(OSError), open(os.path.join(self.folder, "printed.txt"), "rb") as printed:
            printed.seek(self.told)
            new = printed.read()
            self.told += len(new)
            print(self.decoder.decode(new), end="")

    def tell_progress(self):
        """Hands on how far the script says it is."""
        # None yet, or it is being written; and another add-on does not know of such a thing.
        with contextlib.suppress(OSError, ValueError, ImportError):
            from blendwire import progress

            with open(os.path.join(self.folder, "progress.json"), encoding="utf-8") as file:
                progress(*json.load(file))

    def try_to_start(self):
        """Starts it, or keeps why that was not possible."""
        try:
            self.start()
        except Exception as error:
            self.error = error

    def start(self):
        """Starts it. All that it needs lies in the folder, and so does all that it leaves."""
        self.folder = tempfile.mkdtemp(prefix="blendwire-", dir=bpy.app.tempdir)
        loader = os.path.join(self.folder, "loader.py")
        with open(loader, "w", encoding="utf-8") as file:
            file.write(self.loader)
        with open(os.path.join(self.folder, "script.json"), "w", encoding="utf-8") as file:
            json.dump({"blend_file": self.blend_file, "script": self.script, "devices": self.devices}, file)
        program = [sys.executable, loader]
        if bpy.app.binary_path:
            quiet = ["--background", "--factory-startup", "--disable-autoexec", "-noaudio"]
            program = [bpy.app.binary_path, *quiet, "--python", loader]
        with open(os.path.join(self.folder, "output.txt"), "wb") as output:
            self.process = subprocess.Popen(
                [*program, "--", self.folder],
                # It ends when this pipe does: also when this Blender crashes.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": self.folder, "TEMP": self.folder, "TMP": self.folder},
                # On Windows no console comes up.
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def answer(self):
        """What it left when it ended."""
        try:
            with open(os.path.join(self.folder, "answer.json"), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            pass
        with open(os.path.join(self.folder, "output.txt"), encoding="utf-8", errors="replace") as file:
            printed = "".join(file.readlines()[-SHOWN_LINES:]).strip()
        status = self.process.returncode
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
        message = f"the background Blender that opened {self.blend_file} {how} before it had an answer"
        return {"status": "error", "message": f"{message}; the last that it printed:\n{printed}"}

    def __del__(self):
        if self.process is not None:
            self.process.kill()
            self.process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def save_copy(path):
    """Saves a copy of the open file, so that nobody notices where the add-on can do that."""
    try:
        from blendwire import save_copy as unnoticed
    except ImportError:
        bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, check_existing=False)
    else:
        unnoticed(path)


def beginning(path):
    """The first bytes of a file, where it is one: a pipe or a device could hold the main thread for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is no file but a directory, a pipe or a device")
    # Another thing may be there by now.
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        return file.read(7)


def problem(path):
    """Why this is no file to open; None when it may be one."""
    if path is None:
        return None
    if not os.path.isabs(path):
        return f"blend_file must be an absolute path on the machine that Blender runs on, not {path!r}"
    try:
        begin = beginning(path)
    except (OSError, ValueError) as error:
        return f"cannot open {path} on the machine that Blender runs on: {getattr(error, 'strerror', error)}"
    return None if begin.startswith(MAGIC) else f"{path} is not a .blend file"


def main(blend_file, script, loader):
    """Entry point."""
    global check_is_finished
    if message := problem(blend_file):
        return {"status": "error", "message": message}
    try:
        check_is_finished = BackgroundBlender(blend_file, script, loader)
    except (OSError, RuntimeError) as error:
        return {"status": "error", "message": f"cannot make a copy of the open file to work on: {str(error).strip()}"}
    return None

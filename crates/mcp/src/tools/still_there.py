# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows and editors over several polls of a deferred result, between which the user may close them and another client
load a file. Put in front of the snippets that wait for Blender to draw or to switch.
"""


def at(things, pointer):
    """The one of these that lies there (`as_pointer`), or None; what is gone must not be touched."""
    return next((thing for thing in things if thing.as_pointer() == pointer), None)

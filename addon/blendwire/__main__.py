# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m blendwire [--host HOST] [--port PORT] [--other-users] [FILE]`: serves from the bpy module of PyPI.

Nothing of the user interface is registered, since there is none; everything else is `command_line.serve`.
"""

import sys

from .command_line import serve

if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))

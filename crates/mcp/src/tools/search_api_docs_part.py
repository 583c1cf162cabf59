# SPDX-License-Identifier: GPL-3.0-or-later
"""The next part of what there is in Blender's API, by what `search_api_docs.py` has left in Blender."""

import sys


def main(kept_as, at, milliseconds):
    """Entry point. `rows` is None where nothing was left, or another has finished with it and taken it away."""
    kept = sys.modules.get(kept_as)
    if kept is None:
        return {"status": "ok", "rows": None, "at": at}
    told = kept.part(at, milliseconds)
    if told["at"] is None:
        del sys.modules[kept_as]
    return told

# SPDX-License-Identifier: GPL-3.0-or-later
"""The file's text blocks, or the text of one of them."""

import bpy


def main(name=None):
    texts = bpy.data.texts
    if name is None:
        blocks = [{"name": text.name, "lines": len(text.lines), "file": text.filepath} for text in texts]
        return {"status": "ok", "texts": blocks}
    if name not in texts:
        there = ", ".join(text.name for text in texts) or "none"
        return {"status": "error", "message": f"there is no text block {name!r}; there are: {there}"}
    return {"status": "ok", "text": texts[name].as_string()}

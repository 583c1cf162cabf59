# SPDX-License-Identifier: GPL-3.0-or-later
"""What the word in front of the cursor may become. Looks attributes up, but calls nothing that was typed."""

import builtins
import keyword
import re

_PATH = r"[^\W\d]\w*(?:\.\w+|\[(?:\"[^\"\\]*\"|'[^'\\]*'|-?\d+)\])*"
_ATTRIBUTE = re.compile(rf"(?P<owner>{_PATH})\.(?P<word>\w*)$")
_KEY = re.compile(rf"(?P<owner>{_PATH})\[(?P<quote>[\"'])(?P<word>[^\"'\\]*)$")
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*$")


def attributes(owner, word):
    """Private ones only where they are asked for."""
    return [name for name in dir(owner) if word.startswith("_") or not name.startswith("_")]


def keys(owner, quote):
    """Of a dictionary or one of Blender's collections, with what closes the subscript."""
    # Iterating one of Blender's collections gives what is in it.
    named = owner.keys()
    plain = (key for key in named if isinstance(key, str) and key.isprintable())
    return [f"{key}{quote}]" for key in plain if quote not in key and "\\" not in key]


def main(names, text):
    """Entry point. Gives the word's length in characters and all that begins with it."""
    if found := _ATTRIBUTE.search(text):
        word = found["word"]
        candidates = attributes(eval(found["owner"], names), word)
    elif found := _KEY.search(text):
        word = found["word"]
        candidates = keys(eval(found["owner"], names), found["quote"])
    elif found := _NAME.search(text):
        word = found[0]
        candidates = [*names, *dir(builtins), *keyword.kwlist]
    else:
        return [0, []]
    return [len(word), sorted({candidate for candidate in candidates if candidate.startswith(word)})]

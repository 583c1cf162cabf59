# SPDX-License-Identifier: GPL-3.0-or-later
"""What to say where something of a name is not there. Put in front of the snippets that look for names."""

import difflib

# Names offered for an unknown one.
MOST_SUGGESTIONS = 8


def unknown(kind, name, names):
    """Says that there is none of this name, and what there is instead."""
    by_lower = {known.lower(): known for known in names}
    close = [by_lower[key] for key in difflib.get_close_matches(name.lower(), by_lower, MOST_SUGGESTIONS, 0.5)]
    close += [known for known in names if name and name.lower() in known.lower() and known not in close]
    if close:
        hint = "similar names: " + ", ".join(map(repr, close[:MOST_SUGGESTIONS]))
    else:
        hint = f"no name of the {len(by_lower)} is similar; get_objects_summary lists objects"
    return f"there is no {kind} named {name!r}; {hint}"

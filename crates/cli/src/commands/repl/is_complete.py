# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was typed at a prompt is a whole piece of Python, decided by the Python that is to run it."""

import ast
import codeop
import warnings


def main(names, text):
    """Entry point. What can never become right is whole: running it says what is wrong."""
    try:
        if codeop.compile_command(text, "<prompt>", "exec") is None:
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            statements = ast.parse(text).body
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return True
    # More lines may belong to a block, an `else` among them: only a blank line ends it.
    ends_in_block = bool(statements) and (hasattr(statements[-1], "body") or hasattr(statements[-1], "cases"))
    return not ends_in_block or not text.rpartition("\n")[2].strip()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as JSON has them. Put in front of the snippets that tell of transforms."""

import math


def finite(numbers):
    """A list of them, null in place of NaN and infinities, which broken transforms hold and JSON has no numbers for."""
    return [number if math.isfinite(number) else None for number in numbers]

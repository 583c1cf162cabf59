#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs "$@" as the container's user with what the image has in /opt/blendwire, in a mount namespace of its own.
#
#   PYTHON      a virtual environment with bpy
#   ADDON       the add-on's zip
#   COMMAND     the executable
#   ENTRYPOINT  packaging/container/entrypoint.sh
#   VOLUME      the container's volume
set -eu

mount -t tmpfs tmpfs /opt
mkdir -p /opt/blendwire/python
mount --bind "$PYTHON" /opt/blendwire/python
/opt/blendwire/python/bin/python -m zipfile -e "$ADDON" /opt/blendwire/addon
install -m 755 "$COMMAND" /opt/blendwire/blendwire
install -m 755 "$ENTRYPOINT" /opt/blendwire/entrypoint.sh
mount -t tmpfs tmpfs /var/lib
mkdir /var/lib/blendwire
mount --bind "$VOLUME" /var/lib/blendwire
install --directory --owner 10001 --group 10001 --mode 0700 \
    /var/lib/blendwire /var/lib/blendwire/config /var/lib/blendwire/state
cd /var/lib/blendwire
# It may read what root has in its home here: the Python that the environment is of.
only=-all,+dac_read_search
exec setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=$only --ambient-caps=$only --bounding-set=$only \
    env HOME=/var/lib/blendwire PATH="/opt/blendwire:$PATH" "$@"

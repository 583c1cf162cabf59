#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts the server of the container. Arguments go to it: a .blend file, --guard, …; `--help` lists them.
#
#   BLENDWIRE_ALLOW      addresses and networks that may connect, inside TLS and with the token: "192.168.1.0/24 10.0.0.7"
#   BLENDWIRE_TLS_NAMES  names and addresses that clients reach this machine by, for the certificate that is made here
set -eu

if [ "${1:-}" = --help ]; then
    exec env PYTHONPATH=/opt/blendwire/addon /opt/blendwire/python/bin/python -m blendwire --help
fi
if [ -z "${BLENDWIRE_ALLOW:-}" ]; then
    echo "error: nobody may connect: name addresses or networks with BLENDWIRE_ALLOW, for instance" \
        "--env BLENDWIRE_ALLOW=192.168.1.0/24; programs of the machine that runs this container come from the gateway" \
        "of its network, often 172.17.0.1" >&2
    exit 2
fi

if [ -n "${BLENDWIRE_TLS_NAMES:-}" ] && ! blendwire tls >/dev/null 2>&1; then
    set -f
    names=
    for name in $BLENDWIRE_TLS_NAMES; do names="$names --name $name"; done
    # shellcheck disable=SC2086 # Words on purpose: names have no spaces.
    blendwire tls --make $names >&2
    set +f
fi

set -f
for network in $BLENDWIRE_ALLOW; do set -- --allow "$network" "$@"; done
set +f
export PYTHONPATH=/opt/blendwire/addon
# A container has its network to itself, so all of its addresses are meant.
exec /opt/blendwire/python/bin/python -m blendwire --host 0.0.0.0 --port 9876 --online-mode "$@"

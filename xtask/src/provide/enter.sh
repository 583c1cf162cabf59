#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a program of the Debian root beside this script as if it were installed here.
#
# The caller's environment, current directory and process id are kept (each step is an `exec`, so signals
# reach the program itself), and the same paths hold inside: /tmp, the cache, the workspace, the build
# directory. The mounts live in a namespace of this one process: they vanish with it, any number of programs
# can start at once, and the root can be deleted without deleting what was mounted into it.
set -eu

if [ "${BLENDWIRE_ENTERED:-}" != "$$" ]; then
    BLENDWIRE_ENTERED=$$ exec unshare --mount -- "$0" "$@"
fi
# Host libraries do not fit the programs of the root, but for one that a test has made to fit anywhere.
unset BLENDWIRE_ENTERED LD_LIBRARY_PATH LD_PRELOAD
[ -z "${BLENDWIRE_TEST_PRELOAD:-}" ] || set -- LD_PRELOAD="$BLENDWIRE_TEST_PRELOAD" "$@"

here=$(dirname "$(readlink -f "$0")")
cache=$(readlink -f "$here/../..")
root=$(readlink -f "$here/../root")

for path in /proc /sys /dev; do
    mount --rbind "$path" "$root$path"
done
for path in /tmp "$cache" "${BLENDWIRE_WORKSPACE:-}" "${CARGO_TARGET_DIR:-}" "${TMPDIR:-}"; do
    case $path in
    /*)
        [ -d "$path" ] || continue
        mkdir -p "$root$path"
        mount --bind "$path" "$root$path"
        ;;
    esac
done

# Whom the host trusts, pip in the root must trust too: a company's own certificate authority, for one.
trusted=/etc/ssl/certs/ca-certificates.crt
if [ -f "$trusted" ] && [ -f "$root$trusted" ]; then
    mount -o bind,ro "$trusted" "$root$trusted"
fi

[ -z "${HOME:-}" ] || mkdir -p "$root$HOME"
directory=$(pwd)
[ -d "$root$directory" ] || directory=/
exec chroot "$root" /usr/bin/env --chdir="$directory" \
    PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH" "$@"

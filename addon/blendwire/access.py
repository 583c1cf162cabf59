# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may connect, as the user writes it: checks of these settings, and the form in which the core wants them.

`settings` calls it for every source of settings, `preferences` for the words beside a field. What follows from the
rules for a connection is the core's business. Main thread only, since it asks Blender whether it may be online.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any

import bpy

from .findings import Finding

if TYPE_CHECKING:
    from .settings import Settings

# Where token and certificate are; the command line reads the same variable.
CONFIG_VARIABLE = "BLENDWIRE_CONFIG_DIR"

# Bits that an open network fixes at least, by version of IP: as many as the widest private ones. The core has the same.
WIDEST_OPEN = {4: 8, 6: 7}


def is_for_others(host: str) -> bool:
    """Whether other machines can reach a server that listens on `host`."""
    return host != "localhost" and not ipaddress.ip_address(host).is_loopback


def networks(text: str) -> list[str]:
    """The addresses and networks in a list that is separated by commas or blanks."""
    return text.replace(",", " ").split()


def networks_problem(text: str) -> str:
    """Why a list of networks is refused, or an empty string."""
    for name in networks(text):
        try:
            ipaddress.ip_network(name, strict=False)
        except ValueError:
            return f"“{name}” is no address and no network: write 192.168.1.20, 192.168.1.0/24 or fd00::/8"
    return ""


def open_networks_problem(text: str) -> str:
    """Why a list of networks that need neither TLS nor token is refused, or an empty string."""
    if problem := networks_problem(text):
        return problem
    for name in networks(text):
        network = ipaddress.ip_network(name, strict=False)
        if network.prefixlen < WIDEST_OPEN[network.version]:
            return (
                f"“{name}” is too wide: whoever is there needs neither TLS nor token, so name a network that you know, "
                "no wider than 10.0.0.0/8 or fc00::/7. Others go into Allowed Clients"
            )
    return ""


def file_problem(path: str, what: str) -> str:
    """Why a file that is set cannot be used, or an empty string."""
    if path and not os.path.isfile(bpy.path.abspath(path)):
        return f"There is no file {path}: choose the {what} in PEM, or leave both fields empty"
    return ""


def missing_problem(path: str, other: str, what: str) -> str:
    """Why `what` cannot be left empty beside the other file of the pair, or an empty string."""
    if path or not other:
        return ""
    return f"The TLS {what} is missing: choose both files, or leave both empty for one that is made here"


def host_finding(host: str, allowed_clients: str, open_networks: str) -> Finding | None:
    """Why the server may not listen on `host`."""
    if not host:
        return Finding("name", "An address is needed: localhost, or one of this machine's")
    try:
        if not is_for_others(host):
            return None
    except ValueError:
        return Finding(
            "name",
            f"“{host}” is no address: use localhost, or one of this machine's such as 192.168.1.5, or 0.0.0.0",
        )
    # Before 4.2 nobody asked.
    if not getattr(bpy.app, "online_access", True):
        return Finding(
            "online-access",
            f"{host} can be reached from other machines, and Blender is set to stay offline: switch on Allow Online "
            "Access (Preferences > System; on the command line --online-mode), or use localhost",
        )
    if not networks(allowed_clients) and not networks(open_networks):
        return Finding(
            "config",
            f"{host} can be reached from other machines: name those that may connect under Allowed Clients "
            "(on the command line --allow), or use localhost",
        )
    return None


def finding(rules: Settings) -> Finding | None:
    """The first thing that is wrong with them."""
    if text := networks_problem(rules.allowed_clients) or open_networks_problem(rules.open_networks):
        return Finding("config", text)
    if found := host_finding(rules.host, rules.allowed_clients, rules.open_networks):
        return found
    if text := file_problem(rules.tls_certificate, "certificate") or file_problem(rules.tls_key, "key"):
        return Finding("tls", text)
    certificate, key = rules.tls_certificate, rules.tls_key
    if text := missing_problem(certificate, key, "certificate") or missing_problem(key, certificate, "key"):
        return Finding("tls", text)
    return None


def for_core(rules: Settings) -> dict[str, Any]:
    """The rules as the core's `start` takes them."""
    return {
        "other_users": rules.other_users,
        "require_token": rules.require_token,
        "allowed_clients": networks(rules.allowed_clients),
        "open_networks": networks(rules.open_networks),
        "tls_certificate": rules.tls_certificate and bpy.path.abspath(rules.tls_certificate),
        "tls_key": rules.tls_key and bpy.path.abspath(rules.tls_key),
        "config_dir": os.environ.get(CONFIG_VARIABLE, "").strip(),
    }

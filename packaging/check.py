# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what is given away as those do who get it: the MCP registry, readers of bills of materials, and `sha256sum -c`.

`cargo xtask test --only dist` runs it with the folder that holds the files.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(folder: Path) -> list[str]:
    return [*server_faults(folder), *materials_faults(folder), *checksum_faults(folder)]


def server_faults(folder: Path) -> list[str]:
    """The registry's schema, and its rules beyond that."""
    text = (folder / "server.json").read_text("utf-8")
    with tempfile.TemporaryDirectory() as place:
        # The tool looks at repositories.
        Path(place, "server.json").write_text(text, "utf-8")
        command = [sys.executable, "-m", "skillsaw", "lint", place]
        linted = subprocess.run(command, check=False, capture_output=True, text=True)
    if linted.returncode:
        return [f"server.json: {linted.stdout}{linted.stderr}"]
    faults = []
    for package in json.loads(text)["packages"]:
        name = package["identifier"].rsplit("/", 1)[1]
        if package["fileSha256"] != sha256(folder / name):
            faults.append(f"server.json: {name} has another checksum")
    return faults


def materials_faults(folder: Path) -> list[str]:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    found = sorted(folder.glob("*.cdx.json"))
    faults = [] if found else ["there is no bill of materials"]
    for path in found:
        error = validator.validate_str(path.read_text("utf-8"))
        faults += [] if error is None else [f"{path.name}: {error!r}"]
    return faults


def checksum_faults(folder: Path) -> list[str]:
    lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    told = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    there = {path.name: sha256(path) for path in folder.iterdir() if path.name != "SHA256SUMS"}
    return [] if told == there else [f"SHA256SUMS: {told} is told of {there}"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    found = main(Path(sys.argv[1]))
    print("\n".join(found) or "server.json, bill of materials and checksums are accepted")
    sys.exit(1 if found else 0)

"""What the driver says of itself before it is run."""

from __future__ import annotations

from typing import Any

from .words import PROTOCOL

ABILITIES = {
    "rename": True,
    "mtime": True,
    "executable": True,
    "directories": True,
    "symlinks": False,
    "tag_survives_rename": True,
    "exact_names": True,
    "trash": False,
}

MANIFEST: dict[str, Any] = {
    "name": "pyfolder",
    "description": "A folder of this machine, by a small driver in Python.",
    "version": "0.1.0",
    "protocol": PROTOCOL,
    "options": [
        {
            "name": "root",
            "kind": "folder",
            "required": True,
            "default": None,
            "help": "The folder. It must exist: a missing one is unavailable, not empty.",
        }
    ],
    "abilities": ABILITIES,
}

NOT_SUPPORTED = ("at", "max_change", "verify_s", "limit")
"""What any service may have, and this driver doesn't do: better refused than passed over."""

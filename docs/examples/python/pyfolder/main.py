"""The command line that every driver has: `manifest`, `run` and `exercise`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .manifest import MANIFEST


def main(arguments: list[str]) -> int:
    """0: done, or stopped as asked. 1: it could not begin. 2: a bad command line."""
    parser = argparse.ArgumentParser(prog="onitu-driver-pyfolder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("manifest", help="print name, options and abilities as JSON")
    commands.add_parser("exercise", help="be tried by `onitu driver test` over stdin and stdout")
    run = commands.add_parser("run", help="connect one service")
    run.add_argument("--service", required=True, help="its name in `entries.toml`")
    run.add_argument("--runtime", required=True, type=Path, help="directory of the sockets")
    run.add_argument("--redis", required=True, help="the metadata store")
    run.add_argument("--fingerprint", help="of the options: a change starts the driver anew")
    chosen = parser.parse_args(arguments)
    if chosen.command == "manifest":
        print(json.dumps(MANIFEST, indent=2))
        return 0
    # Not before they are needed: `manifest` has to be quick.
    if chosen.command == "exercise":
        from .exercise import exercise

        return exercise(sys.stdin.buffer, sys.stdout.buffer)
    from .session import run_until_stopped

    return run_until_stopped(chosen.service, chosen.runtime, chosen.redis)

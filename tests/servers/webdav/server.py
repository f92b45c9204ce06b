"""WsgiDAV on a free port of the loopback: a WebDAV server for tests.

    server.py ADDRESS_FILE TOP [FLAW]

It serves the folder TOP to the user `onitu`, writes its address to the file, and ends when its
standard input does. One thing is better than in WsgiDAV itself: an `ETag` tells the time of a
change to the nanosecond, as Apache's and Nextcloud's tell two writes of one second apart. A flaw
makes it worse:

- `coarse`: WsgiDAV's own `ETag`, in whole seconds;
- `overwriting`: `Overwrite: F` is passed over;
- `restamping`: what is moved has another time and `ETag` afterwards;
- `folding`: names differ in more than their case.
"""

import os
import random
import socket
import sys
import threading

from cheroot import wsgi
from wsgidav.fs_dav_provider import FileResource, FilesystemProvider
from wsgidav.wsgidav_app import WsgiDAVApp

FLAW = sys.argv[3] if len(sys.argv) > 3 else ""
USER, PASSWORD = "onitu", "sesame"


class File(FileResource):
    def get_etag(self):
        if FLAW == "coarse":
            return super().get_etag()
        stat = os.stat(self._file_path)
        return f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"

    def move_recursive(self, dest_path):
        if FLAW == "restamping":
            os.utime(self._file_path, ns=(1, 1_000_000_000 + os.stat(self._file_path).st_mtime_ns))
        super().move_recursive(dest_path)


class Provider(FilesystemProvider):
    def get_resource_inst(self, path, environ):
        found = super().get_resource_inst(self.folded(path), environ)
        if type(found) is FileResource:
            return File(found.path, environ, found._file_path)
        return found

    def folded(self, path):
        if FLAW != "folding":
            return path
        # Each component as it is there already.
        full, told = self.root_folder_path, ""
        for name in [it for it in path.split("/") if it]:
            there = os.listdir(full) if os.path.isdir(full) else []
            name = next((it for it in there if it.lower() == name.lower()), name)
            full, told = os.path.join(full, name), f"{told}/{name}"
        return told + "/" if path.endswith("/") else told


class Gate:
    """Takes away what the flaw is about."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if FLAW == "overwriting":
            environ["HTTP_OVERWRITE"] = "T"
        return self.app(environ, start_response)


def free_port():
    """One that no outgoing connection gets meanwhile, and that can be listened at again at once."""
    while True:
        port = random.randrange(10_240, 32_000)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def main():
    address_file, top = sys.argv[1:3]
    app = WsgiDAVApp({
        "provider_mapping": {"/": Provider(top)},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
        "http_authenticator": {"accept_basic": True, "accept_digest": False},
        "dir_browser": {"enable": False},
        "property_manager": None,
        "lock_storage": None,
        "verbose": 1,
    })
    if os.path.exists(address_file):
        # Started again: where it was before.
        with open(address_file) as file:
            port = int(file.read().rsplit(":", 1)[1])
    else:
        port = free_port()
    server = wsgi.Server(("127.0.0.1", port), Gate(app), numthreads=16, request_queue_size=128)
    server.prepare()
    with open(f"{address_file}.new", "w") as file:
        file.write("127.0.0.1:%d" % server.bind_addr[1])
    os.replace(f"{address_file}.new", address_file)

    def end_with_input():
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_input, daemon=True).start()
    server.serve()


main()

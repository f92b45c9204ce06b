"""moto behind a gate: an S3 server for tests.

The gate serves one request after the other, so that a condition and its effect are one step, as on
a real server. Each bucket has settings of its own, made by requests below `/_gate/`:

- `conditions`: `all` (moto lacks those of copies and of `If-Match` on completed uploads, so the gate
  checks them), `none` (ignored, as lesser servers do) or `refused` (answered 501);
- `etags`: whether listings tell them;
- `away`: the bucket is gone for a while;
- `frozen`: what lies in an archive stays there, though it was asked for;
- `space`: how many more bytes it takes; `slow_s`: by how long its answers to large bodies are late;
- `faults`: answers instead of moto's, or after it has done its work;
- `queue`: the bucket's event notifications go to an SQS queue of its name;
- a door for a user who writes without S3, and counts of all requests and of the bytes they sent.

It listens on a free port of the loopback, writes that to the file it is given, and ends by itself
when nobody has asked anything for a while.
"""

import base64
import io
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote

# Parts as small as the tests want them.
os.environ["S3_UPLOAD_PART_MIN_SIZE"] = "1"
# In memory, not in a temporary file each.
os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(256 * 1024 * 1024)

from moto.core import DEFAULT_ACCOUNT_ID  # noqa: E402
from moto.s3.models import s3_backends  # noqa: E402
from moto.sqs.models import sqs_backends  # noqa: E402
from moto.moto_server.werkzeug_app import create_backend_app  # noqa: E402

IDLE_S = 90
# moto's routes end at a line's end, so its keys have another character there.
NEWLINE, STAND_IN = "%0A", "%EE%80%8A"
KEY_ID = "onitu-test"
REGION = "us-east-1"
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]


class Bucket:
    def __init__(self, settings):
        self.conditions = settings.get("conditions", "all")
        self.etags = settings.get("etags", True)
        self.away = False
        self.frozen = False
        self.space = None
        self.faults = []
        self.counts = {}
        self.bytes = {}
        self.slow_s = 0


class Gate:
    def __init__(self):
        self.moto = create_backend_app("s3")
        self.backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self.sqs = create_backend_app("sqs")
        self.queues = sqs_backends[DEFAULT_ACCOUNT_ID][REGION]
        self.buckets = {}
        self.lock = threading.Lock()
        self.asked = time.monotonic()

    def __call__(self, environ, start, body):
        environ["wsgi.input"] = io.BytesIO(body)
        path, _, query = environ["REQUEST_URI"].partition("?")
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSQS."):
            return self.serve_queue(environ, start, body)
        with self.lock:
            self.asked = time.monotonic()
            if path.startswith("/_gate/"):
                return self.control(environ, start, path[len("/_gate/") :], query, body)
            answered = self.serve(environ, start, path, query, body)
        slow = self.buckets.get(path.lstrip("/").partition("/")[0])
        if slow and slow.slow_s and len(body) > 1_000_000:
            time.sleep(slow.slow_s)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else answered

    # What S3 is asked.

    def serve(self, environ, start, path, query, body):
        name, _, key = path.lstrip("/").partition("/")
        key = unquote(key)
        bucket = self.buckets.get(name)
        if bucket is None or bucket.away:
            return refuse(start, 404, "NoSuchBucket", "The specified bucket does not exist")
        signed = environ.get("HTTP_AUTHORIZATION", "")
        if f"Credential={KEY_ID}/" not in signed:
            text = "The AWS Access Key Id you provided does not exist in our records."
            return refuse(start, 403, "InvalidAccessKeyId", text)
        asked = parse_qs(query, keep_blank_values=True)
        kind = kind_of(environ, key, asked)
        bucket.counts[kind] = bucket.counts.get(kind, 0) + 1
        bucket.bytes[kind] = bucket.bytes.get(kind, 0) + len(body)
        fault = next((it for it in bucket.faults if hits(it, kind, key)), None)
        if fault:
            fault["times"] -= 1
            if fault["times"] == 0:
                bucket.faults.remove(fault)
            return self.fail(environ, start, fault, name, key)
        source = unquote(environ.get("HTTP_X_AMZ_COPY_SOURCE", "")).lstrip("/").partition("/")[2]
        if (kind == "GET" and self.is_archived(name, key)) or (source and self.is_archived(name, source)):
            # moto answers a range of its own refusal, and copies what it restores at once.
            return refuse(start, 403, "InvalidObjectState", "It lies in an archive")
        unmet = self.condition(environ, bucket, name, key, kind)
        if unmet:
            return refuse(start, *unmet)
        if kind in ("PUT", "PART") and bucket.space is not None:
            if len(body) > bucket.space:
                return refuse(start, 403, "QuotaExceeded", "The quota of the bucket is used up")
            bucket.space -= len(body)
        return self.pass_on(environ, start, bucket, kind)

    def serve_queue(self, environ, start, body):
        """Waits for messages without keeping others from the server, which moto would do."""
        asked = json.loads(body)
        until = time.monotonic() + asked.pop("WaitTimeSeconds", 0)
        body = json.dumps(asked).encode()
        environ["CONTENT_LENGTH"] = environ["HTTP_CONTENT_LENGTH"] = str(len(body))
        name = asked["QueueUrl"].rpartition("/")[2]
        kind = environ["HTTP_X_AMZ_TARGET"].partition(".")[2]
        while True:
            told = []
            with self.lock:
                self.asked = time.monotonic()
                bucket = self.buckets.get(name)
                fault = bucket and next((it for it in bucket.faults if it["kind"] == kind), None)
                if fault:
                    return refuse_json(start, fault["status"], fault["code"])
                environ["wsgi.input"] = io.BytesIO(body)
                answered = b"".join(self.sqs(environ, lambda *it: told.append(it)))
            is_empty = kind == "ReceiveMessage" and b"MessageId" not in answered
            if not is_empty or not told[0][0].startswith("200") or time.monotonic() > until:
                start(*told[0][:2])
                return [answered]
            time.sleep(0.05)

    def is_archived(self, name, key):
        found = self.backend.get_object(name, key)
        restored = found and 'ongoing-request="false"' in found.response_dict.get("x-amz-restore", "")
        if found is None or found.storage_class not in ("GLACIER", "DEEP_ARCHIVE"):
            return False
        return self.buckets[name].frozen or not restored

    def fail(self, environ, start, fault, name, key):
        """Answers something else than moto, which may have done its work before."""
        if not fault.get("after"):
            return refuse(start, fault["status"], fault["code"], "a fault", fault.get("headers"))
        told = []
        answered = b"".join(self.moto(environ, lambda *it: told.append(it)))
        if "overwrite" not in fault:
            return refuse(start, fault["status"], fault["code"], "a fault", fault.get("headers"))
        # A user comes between the work and its answer.
        self.backend.put_object(name, key, fault["overwrite"].encode())
        start(*told[0])
        return [answered]

    def pass_on(self, environ, start, bucket, kind):
        told = {}

        def keep(status, headers, *_):
            told["status"], told["headers"] = status, headers

        answer = b"".join(self.moto(environ, keep))
        # moto says that all uploads began on a day in 2010.
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()).encode()
        answer = answer.replace(b"2010-11-10T20:48:33.000Z", now)
        # Two of its names are such as no client knows.
        answer = answer.replace(b"ListPartsResponse", b"ListPartsResult")
        answer = answer.replace(b"GetBucketVersioningResponse", b"VersioningConfiguration")
        answer = answer.replace(STAND_IN.encode(), NEWLINE.encode())
        if kind == "LIST" and not bucket.etags:
            answer = re.sub(rb"<ETag>.*?</ETag>", b"", answer)
        start(told["status"], told["headers"])
        return [answer]

    def condition(self, environ, bucket, name, key, kind):
        matches = environ.get("HTTP_IF_MATCH")
        none = environ.get("HTTP_IF_NONE_MATCH")
        source = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
        if bucket.conditions != "all":
            for header in ("IF_MATCH", "IF_NONE_MATCH", "X_AMZ_COPY_SOURCE_IF_MATCH"):
                environ.pop(f"HTTP_{header}", None)
        if kind not in ("PUT", "COPY", "PARTCOPY", "COMPLETE", "DELETE"):
            return None
        if bucket.conditions == "refused" and (matches or none):
            return 501, "NotImplemented", "A header you provided implies functionality ..."
        if bucket.conditions != "all":
            return None
        found = self.backend.get_object(name, key)
        if none == "*" and found is not None:
            return 412, "PreconditionFailed", "At least one of the pre-conditions did not hold"
        if matches and found is None:
            return 404, "NoSuchKey", "The specified key does not exist."
        if matches and matches.strip('"') != found.etag.strip('"'):
            return 412, "PreconditionFailed", "At least one of the pre-conditions did not hold"
        if source:
            copied = unquote(environ["HTTP_X_AMZ_COPY_SOURCE"]).lstrip("/").partition("/")
            copied = self.backend.get_object(copied[0], copied[2])
            if copied is not None and source.strip('"') != copied.etag.strip('"'):
                return 412, "PreconditionFailed", "At least one of the pre-conditions did not hold"
        return None

    # What the gate is asked.

    def control(self, environ, start, path, query, body):
        what, _, name = path.partition("/")
        asked = {key: value[0] for key, value in parse_qs(query).items()}
        if what == "ping":
            return answer(start, b"onitu")
        method = environ["REQUEST_METHOD"]
        if what == "bucket" and method == "PUT":
            self.buckets[name] = Bucket(json.loads(body or b"{}"))
            self.backend.create_bucket(name, "us-east-1")
            if json.loads(body or b"{}").get("versioned"):
                self.backend.put_bucket_versioning(name, "Enabled")
            if json.loads(body or b"{}").get("queue"):
                self.queues.create_queue(name, region=REGION)
                told = {"Queue": f"arn:aws:sqs:{REGION}:{DEFAULT_ACCOUNT_ID}:{name}", "Event": EVENTS}
                self.backend.get_bucket(name).set_notification_configuration(
                    {"QueueConfiguration": [told]}
                )
            return answer(start, b"")
        if what == "bucket" and method == "DELETE":
            del self.buckets[name]
            self.backend.get_bucket(name).keys.clear()
            self.backend.delete_bucket(name)
            self.queues.queues.pop(name, None)
            return answer(start, b"")
        bucket = self.buckets[name]
        if what == "set":
            for key, value in json.loads(body).items():
                setattr(bucket, key, value)
            return answer(start, b"")
        if what == "counts":
            return answer(start, json.dumps(bucket.counts).encode())
        if what == "about":
            found = self.backend.get_object(name, asked["key"])
            told = {"class": found.storage_class, "encryption": found.encryption, "kms": found.kms_key_id}
            return answer(start, json.dumps(told).encode())
        if what == "versions":
            all_of_it = self.backend.get_bucket(name).keys.getlist(asked["key"])
            held = [base64.b64encode(it.value).decode() for it in all_of_it if hasattr(it, "value")]
            return answer(start, json.dumps(held).encode())
        if what == "bytes":
            return answer(start, json.dumps(bucket.bytes).encode())
        if what == "queue" and method == "POST":
            self.queues.send_message(name, body.decode())
            return answer(start, b"")
        if what == "queue":
            return answer(start, str(len(self.queues.get_queue(name)._messages)).encode())
        if what == "unplug":
            self.backend.get_bucket(name).set_notification_configuration(None)
            return answer(start, b"")
        if what == "uploads":
            held = self.backend.get_bucket(name).multiparts
            return answer(start, json.dumps([it.key_name for it in held.values()]).encode())
        return self.door(start, method, name, asked.get("key", ""), asked, body)

    def door(self, start, method, name, key, asked, body):
        if self.buckets[name].away:
            return refuse(start, 404, "NoSuchBucket", "away")
        if method == "PUT":
            self.backend.put_object(name, key, body, storage=asked.get("class"))
        elif method == "POST":
            before = self.backend.get_object(name, key)
            if before is None:
                return refuse(start, 404, "NoSuchKey", key)
            self.backend.put_object(name, key, before.value + body)
        elif method == "DELETE":
            if self.backend.get_object(name, key) is None:
                return refuse(start, 404, "NoSuchKey", key)
            self.backend.delete_object(name, key)
        elif "below" in asked:
            keys = [it for it in self.backend.get_bucket(name).keys if it.startswith(asked["below"])]
            found = {it: self.backend.get_object(name, it) for it in keys}
            told = {it: base64.b64encode(key.value).decode() for it, key in found.items() if key}
            return answer(start, json.dumps(told).encode())
        else:
            found = self.backend.get_object(name, key)
            if found is None:
                return refuse(start, 404, "NoSuchKey", key)
            return answer(start, found.value)
        return answer(start, b"")

    def watch(self, server):
        while time.monotonic() - self.asked < IDLE_S:
            time.sleep(1)
        server.shutdown()


def kind_of(environ, key, asked):
    method = environ["REQUEST_METHOD"]
    copies = "HTTP_X_AMZ_COPY_SOURCE" in environ
    if method == "PUT":
        if "partNumber" in asked:
            return "PARTCOPY" if copies else "PART"
        return "COPY" if copies else "PUT"
    if method == "POST":
        for word, kind in (("uploads", "CREATE"), ("uploadId", "COMPLETE"), ("restore", "RESTORE")):
            if word in asked:
                return kind
    if method == "DELETE" and "uploadId" in asked:
        return "ABORT"
    if method == "GET" and ("list-type" in asked or "uploads" in asked or "uploadId" in asked):
        return "LIST"
    return method


def hits(fault, kind, key):
    if fault.get("skip", 0) > 0 and fault["kind"] == kind and fault.get("key", "") in key:
        fault["skip"] -= 1
        return False
    return fault["kind"] in (kind, "ANY") and fault.get("key", "") in key


def refuse(start, status, code, text, headers=None):
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
    ).encode()
    head = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start(f"{status} {code}", head + list((headers or {}).items()))
    return [body]


def refuse_json(start, status, code):
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "a fault"}).encode()
    start(f"{status} {code}", [("Content-Type", "application/x-amz-json-1.0")])
    return [body]


def answer(start, body):
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the gate; connections are kept, as every S3 server does."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def handle_one(self):
        self.path = self.path.replace(NEWLINE, STAND_IN)
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        environ = {
            "REQUEST_METHOD": self.command,
            "REQUEST_URI": self.path,
            "RAW_URI": self.path,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            value = value.replace(NEWLINE, STAND_IN)
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        body = self.rfile.read(length) if length else b""
        told = []
        answer = b"".join(self.server.gate(environ, lambda *it: told.append(it), body))
        code, _, reason = told[0][0].partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in told[0][1]:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and code != "204":
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one


def main():
    gate = Gate()
    # Five may wait otherwise, and who comes then tries again after whole seconds.
    ThreadingHTTPServer.request_queue_size = 512
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.gate = gate
    address = sys.argv[1]
    with open(address + ".new", "w") as file:
        file.write(f"127.0.0.1:{server.server_port}")
    os.rename(address + ".new", address)
    threading.Thread(target=gate.watch, args=(server,), daemon=True).start()
    server.serve_forever()
    os.unlink(address)


if __name__ == "__main__":
    main()

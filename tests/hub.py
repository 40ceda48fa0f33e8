"""A hub of two servers on this machine: one lists and redirects, the other has the bytes, as the real one and its store do.

    with Hub("owner/name", {"m-Q8_0.gguf": data}) as hub: … HF_ENDPOINT=hub.url …

What goes wrong is set on the object: cuts, delays, lies. It counts the bytes of files that it sends.
"""
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 64 << 10  # files from this size on are in the store, by their SHA-256


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def serve(answer):
    """Starts a server whose GETs go to answer(handler)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            try:
                answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


class Hub:
    def __init__(self, repository, files, token=None):
        self.repository, self.files, self.token = repository, dict(files), token
        self.sent = 0  # bytes of files
        self.cuts = []  # after how many bytes of files in all a connection ends
        self.hold_at = None  # after so many bytes nothing more is sent
        self.holding = threading.Event()
        self.lie = None  # answer(handler, name, begin, end) → True if it has answered
        self.refusals = []  # (status, headers) of the next answers
        self.page = 1000  # files on a page of the list
        self.tokens = []  # (server, Authorization) of each request
        self.ranges = []  # of each request for a file
        self.hub, self.store = serve(self.answer_hub), serve(self.answer_store)
        self.url = f"http://127.0.0.1:{self.hub.server_port}"
        self.store_url = f"http://127.0.0.1:{self.store.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.hub, self.store):
            server.shutdown()
            server.server_close()

    def checksum(self, name):
        data = self.files[name]
        if len(data) >= LARGE:
            return hashlib.sha256(data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def entry(self, name):
        entry = {"type": "file", "path": name, "size": len(self.files[name]), "oid": "a" * 40}
        if len(self.files[name]) >= LARGE:
            entry["lfs"] = {"oid": self.checksum(name), "size": len(self.files[name]), "pointerSize": 134}
        else:
            entry["oid"] = self.checksum(name)
        return entry

    @staticmethod
    def reply(handler, status, body=b"", **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def answer_hub(self, handler):
        self.tokens.append(("hub", handler.headers.get("Authorization")))
        url = urllib.parse.urlparse(handler.path)
        path = urllib.parse.unquote(url.path)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return self.reply(handler, status, b"no", **headers)
        if self.token and handler.headers.get("Authorization") != "Bearer " + self.token:
            return self.reply(handler, 401, b"Invalid username or password.")
        base = "/api/models/" + self.repository
        if path == base + "/revision/main":
            return self.reply(handler, 200, json.dumps({"sha": COMMIT}).encode())
        if path == f"{base}/tree/{COMMIT}":
            return self.answer_list(handler, url)
        resolve = f"/{self.repository}/resolve/{COMMIT}/"
        name = path.removeprefix(resolve)
        if not path.startswith(resolve) or name not in self.files:
            return self.reply(handler, 404, b"Entry not found")
        if len(self.files[name]) < LARGE:
            return self.send_file(handler, name)
        self.reply(handler, 302, Location=f"{self.store_url}/{urllib.parse.quote(name)}?signed=1")

    def answer_list(self, handler, url):
        begin = int(urllib.parse.parse_qs(url.query).get("cursor", ["0"])[0])
        names = list(self.files)
        entries = [self.entry(name) for name in names[begin:begin + self.page]]
        headers = {}
        if begin + self.page < len(names):
            headers["Link"] = f"<{self.url}{url.path}?recursive=true&cursor={begin + self.page}>; rel=\"next\""
        self.reply(handler, 200, json.dumps(entries).encode(), **headers)

    def answer_store(self, handler):
        self.tokens.append(("store", handler.headers.get("Authorization")))
        self.send_file(handler, urllib.parse.unquote(urllib.parse.urlparse(handler.path).path[1:]))

    def send_file(self, handler, name):
        data = self.files[name]
        begin, end = 0, len(data)
        asked = handler.headers.get("Range")
        self.ranges.append((name, asked))
        if asked:
            first, last = asked.removeprefix("bytes=").split("-")
            begin, end = int(first), min(int(last) + 1, len(data))
        if self.lie and self.lie(handler, name, begin, end):
            return
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        handler.send_header("Content-Length", str(end - begin))
        handler.end_headers()
        self.send_bytes(handler, data[begin:end])

    def send_bytes(self, handler, data):
        """Ends or holds the connection where it was told to."""
        while data:
            step = min(len(data), 16 << 10)
            if self.cuts:
                step = min(step, max(self.cuts[0] - self.sent, 0))
            if self.hold_at is not None:
                step = min(step, max(self.hold_at - self.sent, 0))
            handler.wfile.write(data[:step])
            handler.wfile.flush()
            self.sent += step
            data = data[step:]
            if self.cuts and self.sent >= self.cuts[0]:
                self.cuts.pop(0)
                handler.close_connection = True
                return
            if self.hold_at is not None and self.sent >= self.hold_at:
                self.holding.set()
                while self.hold_at is not None:
                    time.sleep(0.01)
                return

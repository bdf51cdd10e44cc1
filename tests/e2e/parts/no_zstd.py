"""A proxy before the server that takes `zstd` out of what a client accepts, and tells what it had offered."""

import contextlib
import http.client
import http.server
import threading

PIECE = 1 << 20
OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding"}


def _handler(address, offered):
    class Handler(http.server.BaseHTTPRequestHandler):
        # containerd tries TLS first; by an answer with a status line it sees that this is plain HTTP.
        default_request_version = "HTTP/1.1"

        def do_GET(self):
            accepted = self.headers.get("Accept-Encoding", "")
            offered.append(accepted)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
            server = http.client.HTTPConnection(address, timeout=60)
            with contextlib.closing(server):
                server.request(self.command, self.path, headers=headers)
                self._answer(server.getresponse())

        do_HEAD = do_GET

        def _answer(self, answer):
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OF_ONE_CONNECTION:
                    self.send_header(name, value)
            self.end_headers()
            while piece := answer.read(PIECE):
                self.wfile.write(piece)

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def before(server_address):
    """Yields the proxy's address and the list of what clients have offered in `Accept-Encoding`."""
    offered = []
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server_address, offered))
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{proxy.server_port}", offered
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()

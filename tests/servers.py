"""The HTTP server behind the test servers of this project."""

from __future__ import annotations

from http.server import ThreadingHTTPServer


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that hang up, as those under test do when they time out or are killed.

    Not for looks: printing a traceback parses the source (for its ^^^^ marks), and CPython 3.11 cannot parse in two
    threads at once ("AST constructor recursion depth mismatch"): it would break whatever the test itself parses.
    """

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet."""

"""The stack's own certificate authority and the one server certificate for all mocked names.

Private keys stay in this process; only the authority's certificate is meant for others. trustme's certificates
are valid from 2000 to 3000, so a clock that skips ahead does not expire them.
"""

import ssl
from collections.abc import Iterable
from typing import Any

import trustme
from cheroot.ssl import Adapter
from cheroot.ssl.builtin import BuiltinSSLAdapter


class Authority:
    """A certificate authority made for one stack, unknown to anybody else."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="itest stack", organization_unit_name="mocks")

    def certificate(self) -> bytes:
        """The authority's certificate (PEM), for the pods' trust stores."""
        return self._ca.cert_pem.bytes()

    def server_context(self, names: Iterable[str]) -> ssl.SSLContext:
        """A TLS server context with a certificate for `names` (wildcards allowed)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        return context


class TlsAdapter(BuiltinSSLAdapter):
    """cheroot's TLS with a ready context, where the handshake happens in the worker thread.

    cheroot would do it in the thread that accepts: one frozen client would keep everybody else out.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        Adapter.__init__(self, "", "")
        self._tls_context = context

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """The TLS socket, its handshake still to come, and what it adds to the WSGI environment."""
        tls = self._tls_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return tls, self.get_environ(tls)

    def get_environ(self, sock: Any = None) -> dict[str, str]:
        """That the request came by HTTPS."""
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

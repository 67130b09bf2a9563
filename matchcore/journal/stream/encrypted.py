"""Connections of `tls://`: none that is not encrypted, and why one was refused."""

from __future__ import annotations

from nats.aio.client import Client
from nats.errors import SecureConnWantedError

from .address import Address

#: In what the client says of a first connection that trying again does not mend.
_REFUSED, _UNTRUSTED, _ALERT = ("authorization", "authentication"), "CERTIFICATE_VERIFY", "_ALERT_"
_PLAIN = str(SecureConnWantedError())


class EncryptedClient(Client):
    """Says nothing to a server that does not encrypt, a password least of all.

    The client of the library leaves it to the server whether a connection is encrypted, and so to
    whoever is between them.
    """

    def _connect_command(self) -> bytes:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is None or writer.get_extra_info("ssl_object") is None:
            raise SecureConnWantedError
        protocol = writer.transport.get_protocol()
        if protocol is not None:  # it has not ended already
            # As asyncio marks connections that it encrypts itself; else it warns at each end.
            protocol._over_ssl = True
        return super()._connect_command()


def client_for(address: Address) -> Client:
    """A client that is not connected yet."""
    return EncryptedClient() if address.scheme == "tls" else Client()


def refusal(address: Address, said: str) -> str:
    """What is wrong for good, in words, with what the client has said; empty if it may pass."""
    files, reason = dict(address.files), _reason(said)
    if any(one in said.lower() for one in _REFUSED):
        return f"the servers refuse this client ({said})"
    if _UNTRUSTED in said:
        if address.scheme != "tls":
            return f"the servers encrypt: the address must begin with tls:// ({reason})"
        ca = f"ca={files['ca']}" if "ca" in files else "the authorities that this system knows"
        return f"the certificate of a server does not pass with {ca}: {reason}"
    if _ALERT in said:
        mine = f"cert={files['cert']}" if "cert" in files else "a client without a certificate"
        return f"the servers refuse {mine}: {reason}"
    if said in _PLAIN:
        return (
            "a server does not encrypt, and tls:// wants that: it has no tls block, or is another"
        )
    return ""


def _reason(said: str) -> str:
    """Of OpenSSL's words those that tell something."""
    text = said.rpartition("] ")[2].partition(" (_ssl")[0]
    return text.removeprefix("certificate verify failed: ").rstrip(".")

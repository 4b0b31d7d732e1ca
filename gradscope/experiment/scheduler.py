"""The address of a Dask scheduler, and the certificates by which both sides know each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheduler:
    """A Dask scheduler that runs trials in the place of processes of this machine.

        scheduler = Scheduler("tls://host:8786", "ca.pem", "me.pem", "me.key")
        gradscope.run("quickstart", scheduler=scheduler)

    Without certificates Dask's own configuration (``distributed.comm.tls``) decides. Over
    ``tcp://`` nothing is encrypted, and whoever reaches the scheduler can run code on its workers.

    Attributes:
        address: such as ``tls://host:8786``.
        ca_file: PEM file of the authority that signed both certificates.
        cert: PEM file of this side's certificate.
        key: PEM file of its private key; None where the certificate's file holds it.
    """

    address: str
    ca_file: str | None = None
    cert: str | None = None
    key: str | None = None

    @property
    def has_certificates(self) -> bool:
        """Whether any was named."""
        return any((self.ca_file, self.cert, self.key))

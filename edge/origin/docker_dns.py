"""Questions to one DNS server by UDP, and what its answers are worth: names that are ASCII, of the question asked."""

from __future__ import annotations

from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
from dns.rdtypes.ANY.PTR import PTR

from edge.origin.links import EMBEDDED
from edge.origin.names import Labels

SECONDS: Final = 1.0
"""For one answer. Docker's own take less than a millisecond; what it has to ask elsewhere is nobody's container."""


class LookupFailed(Exception):
    """No answer that could be read came in time."""


class DockerDns:
    """Docker's DNS, at `address` and `port`; `seconds` for one answer."""

    def __init__(self, address: str = EMBEDDED, port: int = 53, *, seconds: float = SECONDS) -> None:
        self._address = address
        self._port = port
        self._seconds = seconds

    async def name_of(self, ip: str) -> Labels:
        """The name of address `ip`, () if it has none or several. LookupFailed."""
        found = {
            record.target.labels
            for record in await self._ask(dns.reversename.from_address(ip), dns.rdatatype.PTR)
            if isinstance(record, PTR)
        }
        return _text(found.pop()) if len(found) == 1 else ()

    async def has(self, name: str, ip: str) -> bool:
        """Whether `ip` is among the addresses of `name`. LookupFailed."""
        kind = dns.rdatatype.AAAA if ":" in ip else dns.rdatatype.A
        try:
            asked = dns.name.from_text(name)
        except dns.exception.DNSException:  # a label of more than 63 characters: DNS cannot hold it
            return False
        return any(getattr(record, "address", None) == ip for record in await self._ask(asked, kind))

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> list[object]:
        # Not "recursion desired": what Docker knows it says anyway, and a server behind it need not look further.
        query = dns.message.make_query(name, kind, flags=dns.flags.Flag(0))
        try:
            # Datagrams from elsewhere, with another id or question, or that are no DNS are passed over until the end.
            answer = await dns.asyncquery.udp(
                query,
                self._address,
                timeout=self._seconds,
                port=self._port,
                ignore_unexpected=True,
                ignore_errors=True,
            )
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(type(error).__name__) from None
        if answer.rcode() != dns.rcode.NOERROR:
            return []  # no such name; or a server behind Docker's that will not say
        return list(answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind) or ())


def _text(labels: tuple[bytes, ...]) -> Labels:
    """The labels without the root's; () if one is not ASCII."""
    try:
        return tuple(label.decode("ascii") for label in labels if label)
    except UnicodeDecodeError:
        return ()

"""A DNS server on loopback that answers as it is told, or as it should not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Answering: TypeAlias = Callable[[bytes], list[bytes]]
"""A question as it came -> the datagrams that go back."""

TTL: Final = 600


class DnsServer(asyncio.DatagramProtocol):
    """Counts what it is asked."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        question = dns.message.from_wire(data).question[0]
        self.asked.append(question.name.to_text(omit_final_dot=True))
        for datagram in self.answering(data):
            self._transport.sendto(datagram, addr)


@asynccontextmanager
async def serving(answering: Answering) -> AsyncIterator[tuple[DnsServer, int]]:
    """The server and its port."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: DnsServer(answering), local_addr=("127.0.0.1", 0))
    try:
        yield server, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def docker(names: dict[str, str], hosts: dict[str, str] | None = None) -> Answering:
    """Answers as Docker does: `names` by address, `hosts` addresses by name."""
    records = {dns_name(ip): ("PTR", f"{name}.") for ip, name in names.items()}
    records |= {name: ("A", ip) for name, ip in (hosts or {}).items()}

    def answer(data: bytes) -> list[bytes]:
        query = dns.message.from_wire(data)
        asked = query.question[0].name.to_text(omit_final_dot=True)
        found = records.get(asked)
        reply = reply_to(query)
        if found is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(f"{asked}.", TTL, "IN", *found))
        return [reply.to_wire()]

    return answer


def reply_to(query: dns.message.Message) -> dns.message.Message:
    """An answer without anything in it."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    return reply


def dns_name(ip: str) -> str:
    """Where the name of IPv4 address `ip` stands."""
    return ".".join(reversed(ip.split("."))) + ".in-addr.arpa"

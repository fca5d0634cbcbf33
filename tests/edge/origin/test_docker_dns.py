"""Questions to a DNS server that answers well, badly, for somebody else, or not at all."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from edge.origin.docker_dns import DockerDns, LookupFailed
from edge.origin.names import Labels
from tests.edge.origin.dns_server import Answering, dns_name, docker, reply_to, serving

IP = "172.18.0.2"
WHERE = f"{dns_name(IP)}."


def answering(*rrsets: dns.rrset.RRset, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Answering:
    def answer(data: bytes) -> list[bytes]:
        reply = reply_to(dns.message.from_wire(data))
        reply.answer.extend(rrsets)
        reply.set_rcode(rcode)
        return [reply.to_wire()]

    return answer


def pointer(*names: str, at: str = WHERE) -> dns.rrset.RRset:
    return dns.rrset.from_text(at, 600, "IN", "PTR", *names)


BYTES = dns.rrset.from_rdata(
    dns.name.from_text(WHERE), 600, dns.rdata.from_wire("IN", "PTR", b"\x03w\xff\x0a\x03net\x00", 0, 9)
)


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        (docker({IP: "app-web-1.app_default"}), ("app-web-1", "app_default")),
        (docker({}), ()),
        (answering(), ()),
        (answering(rcode=dns.rcode.SERVFAIL), ()),
        (answering(rcode=dns.rcode.REFUSED), ()),
        (answering(pointer("a.net.", "b.net.")), ()),
        (answering(pointer("a.net.", at="3.0.18.172.in-addr.arpa.")), ()),
        (answering(dns.rrset.from_text(WHERE, 600, "IN", "A", "1.2.3.4")), ()),
        (answering(dns.rrset.from_text(WHERE, 600, "IN", "CNAME", "x.net."), pointer("a.net.", at="x.net.")), ()),
        (answering(pointer(".")), ()),
        (answering(BYTES), ()),
    ],
)
async def test_names(answer: Answering, labels: Labels) -> None:
    async with serving(answer) as (server, port):
        assert await DockerDns("127.0.0.1", port, seconds=20.0).name_of(IP) == labels
        assert server.asked == [dns_name(IP)]


async def test_addresses_confirm_a_name() -> None:
    async with serving(docker({}, {"web.app_default": IP})) as (_, port):
        asked = DockerDns("127.0.0.1", port, seconds=20.0)
        assert await asked.has("web.app_default", IP)
        assert not await asked.has("web.app_default", "172.18.0.3")
        assert not await asked.has("db.app_default", IP)
        assert not await asked.has("web.app_default", "fd00::2")
        assert not await asked.has("w" * 64 + ".app_default", IP)


def other_id(data: bytes) -> bytes:
    (good,) = docker({IP: "evil.net"})(data)
    return bytes([good[0] ^ 1]) + good[1:]


def other_question(data: bytes) -> bytes:
    reply = dns.message.from_wire(docker({IP: "evil.net"})(data)[0])
    reply.question = dns.message.make_query("3.0.18.172.in-addr.arpa", "PTR").question
    return reply.to_wire()


NOISE = [lambda _: b"", lambda _: b"\x00", lambda data: data, lambda data: data[:7], other_id, other_question]


async def test_what_is_no_answer_to_the_question_is_passed_over() -> None:
    well = docker({IP: "app-web-1.app_default"})
    async with serving(lambda data: [*(make(data) for make in NOISE), *well(data)]) as (_, port):
        assert await DockerDns("127.0.0.1", port, seconds=20.0).name_of(IP) == ("app-web-1", "app_default")


@pytest.mark.parametrize("noise", [lambda _: [], lambda data: [make(data) for make in NOISE]])
async def test_without_an_answer_the_time_ends_it(noise: Answering) -> None:
    async with serving(noise) as (_, port):
        with pytest.raises(LookupFailed):
            await DockerDns("127.0.0.1", port, seconds=0.3).name_of(IP)


async def test_a_closed_port_is_no_answer() -> None:
    async with serving(docker({})) as (_, port):
        pass
    with pytest.raises(LookupFailed):
        await DockerDns("127.0.0.1", port, seconds=0.3).name_of(IP)

"""Sockets in. `inbound.py` is what the rest of the gateway sees of a request; nothing else knows aiohttp's server.

Pure:    limits.py      ListenerLimits               every cap and deadline, on by default
         hosts.py       HostPolicy                   names this gateway answers to (DNS rebinding)
         target.py      parse_target()               one canonical path, or nothing
         checks.py      check_head() -> Head         the strict reading of a head
         chunks.py      ChunkWatch                   where a chunked body really ends
         census.py      Census                       how many connections, and of whom
         framer.py      Framer                       bytes -> head and body, beside aiohttp's parser
At rim:  inbound.py     Inbound, Handler, Rejected   the seam to the pipeline
         head.py        answer_head()                the bytes of an answer's head
         request.py     AiohttpInbound               implements Inbound
         link.py        Link                         one socket: sending, stalls, the ways to end
         connection.py  Connection                   ... and reading, one request after the other
         floor.py       Floor                        what connections share
         accepting.py   TlsDoor                      ... a peer judged before its TLS handshake
         server.py      Listener, ListenError        bind, drain, close
"""

"""Which container is calling, by reverse look-up in Docker's own DNS; no Docker socket (docs/decisions/0034).

    address -> in a network of ours? -> its name, our own name -> the network -> stack and service, if Docker confirms

names.py      what names mean: container, network, stack, service; pure
links.py      resolv.conf: is this Docker's DNS? The route table: is that address next to us? pure
docker_dns.py the questions, by UDP, each with a time limit; the only importer of dnspython
finder.py     all questions about one address
origins.py    Origins   what is known, at once; asks in the background; bounded, forgets
opening.py    opens all that where the gateway runs in a container with Docker's DNS, else nothing
"""

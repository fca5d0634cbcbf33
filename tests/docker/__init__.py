"""The container image and the Compose files, with a real Docker engine.

    daemon.py    the engine's command line; an engine of our own where none answers
    running.py   one container, and one Compose project, of a test
    bare.py      containers without an image, with this machine's programs in them
    scan.py      what an image must not hold (also `python -m tests.docker.scan ARCHIVE`)
    conftest.py  the base made of Debian's packages, the images, the stack

They need Debian and root: `requirements/docker.sh` installs the rest. Elsewhere they are skipped, and say why. All of
them run in one worker (tests/conftest.py), since they share the images.
"""

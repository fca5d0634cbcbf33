"""The gateway as a service of the host: a user's service, which needs no root and sees what its user sees.

Pure:    plan.py       Plan, Status            what is to run, and how it is
         systemd.py    a user unit of systemd
         launchd.py    a user agent of macOS (rendered and tested here; not run on a Mac)
At rim:  manager.py    Manager                 files and commands of either, behind one face
         notify.py     tell()                  says to systemd that the gateway listens
"""

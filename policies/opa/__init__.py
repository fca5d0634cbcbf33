"""Everything that speaks OPA's REST API, behind the seam `policies/engine.py`.

api.py       DataApi: one decision over HTTP or a UNIX socket, with strict builtin errors
engine.py    ChildEngine: an `opa` or an embedded engine as a supervised child process, one revision each
programs.py  how to run either
remote.py    RemoteEngine: somebody else's OPA
asked.py     Asked: questions under way, so that no engine is closed under them
admin.py     policies and data of a remote OPA, through opa-python-client
"""

"""Everything that speaks OPA's REST API, behind the seam `policies/engine.py`.

api.py       DataApi: one decision over HTTP or a UNIX socket, with strict builtin errors
child.py     ChildEngine: an `opa` or an embedded engine as a supervised child process, one revision each
programs.py  how to run either; finding `opa`
remote.py    RemoteEngine: somebody else's OPA
admin.py     OpaAdmin: policies and data of a remote OPA, through opa-python-client
"""

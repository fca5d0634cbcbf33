"""Export over OTLP/HTTP: traces, metrics and logs to a collector. Imported only where one is configured.

resource.py    who sends
encode.py      attributes and resource as protobuf, and any message as OTLP's JSON;  the rest builds on it
traces.py, metrics.py, logs.py   our tuples and snapshots -> one protobuf message
records.py     LogRecords   log records of denials, errors and audited requests
backlog.py     Backlog, Latest   what waits, bounded; drops are counted
delivery.py    what an answer of the collector means, and how long to wait; pure
partial.py     how much of a message it threw away behind a 200; pure
sender.py      Sender   one POST; the only place that opens connections to a collector
lane.py        Lane   one signal on its way: batches, back-off, the last flush

Nothing here is waited for by a request, and a collector that hangs, lies or is gone costs bounded memory only.
"""

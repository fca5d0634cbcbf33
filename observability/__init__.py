"""What happened: ids, who is told, access lines, the decision log, metrics, traces, OTLP. Imports only `policies`."""

"""What happened and goes on: who is told, access lines, decisions, metrics, traces, OTLP. Imports only `policies`."""

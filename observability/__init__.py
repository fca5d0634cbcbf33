"""What happened: ids and the access line (traces, metrics and audit come with issue 5). Imports only `policies`."""

"""The settings of a listener's `tls:`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate from elsewhere."""

    cert_file: Path
    """PEM: the certificate, then those that lead to its authority"""
    key_file: Path
    """PEM: its private key, not encrypted"""

"""Encryption of files, and hashes for their chains: AES-256-GCM, SM4-GCM, SHA-256, SM3."""

from __future__ import annotations

from .keys import Keys

__all__ = ["Keys"]

"""`Books`: every book of an exchange, kept by its public changes alone."""

from ..machine._books import Books

__all__ = ["Books"]

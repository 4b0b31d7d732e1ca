"""Measurements on the recurrences of today's language models."""

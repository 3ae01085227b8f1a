"""Codecs, and voice from one to another."""

"""Bitrix24: its frames, its REST methods, its events."""

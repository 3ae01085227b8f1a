"""Recorded calls: from the tape written while people talk to the file in the CRM."""

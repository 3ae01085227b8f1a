"""The PBX's wire."""

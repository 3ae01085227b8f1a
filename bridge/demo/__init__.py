"""The stage set: a simulated portal and a small PBX, to try everything with no account."""

"""The voice: browser leg, PBX leg and the relay between them."""

"""An rtpengine as the voice, through its ng protocol."""

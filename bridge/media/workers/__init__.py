"""The voice spread over several processes."""

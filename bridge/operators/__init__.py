"""The operators' browsers."""

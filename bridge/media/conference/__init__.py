"""Three parties in one conversation: what each PBX hears is mixed here."""

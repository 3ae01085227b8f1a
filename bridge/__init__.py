"""A telephony bridge for Bitrix24: SIP PBX, browser, CRM."""

__version__ = "0.1.0"

"""An authorization engine for prepaid voucher cards, speaking ISO 8583."""

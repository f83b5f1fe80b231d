"""What finance is told: of a day, of a month, of the money behind the vouchers, of what expires."""

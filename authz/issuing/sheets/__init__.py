"""Reading beneficiaries files: who is to have how many vouchers, as CSV or as a workbook. See docs/beneficiaries.md.

A file is validated whole and apart from payments, in a process with limits of its own. No error says what a cell holds.
"""

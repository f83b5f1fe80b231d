"""Writing the books for other programs: one file a format, a chart of accounts as data, one way of reading.

What each format holds, and what finance does with it, is said in docs/export.md.
"""

"""The commands `authz config …`: the configuration checked, and shown as it is in force.

Exit 0: done, and what was checked is sound; 1: it isn't; 2: wrong use, or there is no such file.
"""

"""Bad lines, made on purpose."""

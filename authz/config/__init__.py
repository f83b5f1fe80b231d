"""The configuration: one TOML file, read, checked, shown, and documented by its own structs."""

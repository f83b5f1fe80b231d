"""The pure core: functions over values, without clock, I/O, randomness or await."""

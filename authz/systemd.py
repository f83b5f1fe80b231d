"""What systemd is told of a service of `Type=notify`: that it is ready, reloads, stops, and lives (sd_notify(3)).

Each message is a datagram of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names. Where nothing is named, as
in a shell, nothing is sent.
"""

import os
import socket
import time
from collections.abc import MutableMapping

STATUS_CHARACTERS_MAX = 200
SEND_MAX_S = 0.1
"""How long a manager that has fallen behind is waited for."""


class Systemd:
    """The service manager, as the environment names it. Its variables are taken out: no child process speaks to it.

    `watchdog_s` is after how many seconds without a sign of life it kills this process; None: it doesn't watch.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        named = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + named[1:] if named.startswith("@") else named
        self._status = ""
        watched, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_watched = watched.isdecimal() and int(watched) > 0 and pid in ("", str(os.getpid()))
        self.watchdog_s = int(watched) / 1_000_000 if self._address and is_watched else None

    def ready(self) -> None:
        """It listens; after `reloading`: it has reloaded."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """It has begun to read its configuration again."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000}")

    def stopping(self) -> None:
        """It has begun to stop."""
        self._tell("STOPPING=1")

    def lives(self) -> None:
        """The watchdog may wait another `watchdog_s`."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in a line what it does, where that has changed."""
        line = " ".join(text.split())[:STATUS_CHARACTERS_MAX]
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def _tell(self, *lines: str) -> None:
        """Send a message. A manager that can't be told is no reason to stop answering."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
                one.settimeout(SEND_MAX_S)
                one.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self._status = ""  # to be said again

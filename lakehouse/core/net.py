"""Ports and addresses of this machine."""

import ipaddress
import socket

from lakehouse.errors import UnavailableError


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free on loopback, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UnavailableError("No free port was found on 127.0.0.1.", "Stop a process that listens there.")


def is_loopback(host: str) -> bool:
    """Whether the address or name is of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

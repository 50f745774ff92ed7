"""Ports for the servers that tests start."""

import random
import socket

_SEAWEEDFS = range(12_000, 22_000)
_GRPC_ABOVE = 10_000


def free_port() -> int:
    """Any that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ports_of_seaweedfs(count: int) -> list[int]:
    """Ports that are free along with the one 10,000 above, where SeaweedFS puts its gRPC.

    At random, for tests that run side by side, and all of them below those that Linux gives to
    outgoing connections (from 32,768): one of these might be taken until the server starts.
    """
    ports = random.sample(_SEAWEEDFS, len(_SEAWEEDFS))
    free = (port for port in ports if _is_free(port) and _is_free(port + _GRPC_ABOVE))
    return [next(free) for _ in range(count)]


def is_listened_to(port: int) -> bool:
    """Whether a server on this machine's loopback takes connections at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True

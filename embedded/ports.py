import random
import socket


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def first_free(port: int) -> int:
    """That port of 127.0.0.1, or the next one that nobody uses."""
    while not is_free(port):
        port += 1
    return port


def free_ports(count: int) -> list[int]:
    """So many different ports of 127.0.0.1 that nobody uses now.

    Below the range that the kernel takes the ports of outgoing connections from (32768 and above on Linux): one of
    those could take a port between this look and the moment at which a service binds it, now or at a later start.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(10_000, 32_000), 1000):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found

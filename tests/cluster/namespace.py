"""Run a command in a network of its own: only the loopback interface, which is up.

    python -m tests.cluster.namespace COMMAND ARGUMENT...

Ray's nodes would otherwise listen on the machine's real interfaces.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER = 0x40000000, 0x00020000, 0x10000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

INSIDE = "FACTORLAB_TEST_NAMESPACE"
"""Environment variable that is set in the namespace."""


def unshare(flags: int) -> None:
    """Give this process new namespaces.

    Raises:
        OSError: The system does not allow it.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")


def enter() -> None:
    """Enter new namespaces for the network and for mounts, with the loopback interface up."""
    user, group = os.getuid(), os.getgid()
    try:
        unshare(CLONE_NEWNET | CLONE_NEWNS)
    except PermissionError:  # not an administrator, who it becomes in a user namespace
        unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(line)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def main() -> None:
    """Enter the namespace and become the command."""
    enter()
    os.environ[INSIDE] = "1"
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

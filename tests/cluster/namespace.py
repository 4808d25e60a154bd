"""Run a command in a network of its own: only the loopback interface, which is up.

    python -m tests.cluster.namespace COMMAND ARGUMENT...

Ray's nodes would otherwise listen on the machine's real interfaces. The command also sees no other
processes, and all that it starts end with it.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER = 0x40000000, 0x00020000, 0x10000000
CLONE_NEWPID, MS_REC, MS_PRIVATE = 0x20000000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

INSIDE = "FACTORLAB_TEST_NAMESPACE"
"""Environment variable that is set in the namespace."""


def call(name: str, *arguments: object) -> None:
    """Call a function of the C library.

    Raises:
        OSError: It fails.
    """
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def enter() -> None:
    """Enter new namespaces for the network and mounts, and for the processes started next."""
    user, group = os.getuid(), os.getgid()
    try:
        call("unshare", CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
    except PermissionError:  # not an administrator, who it becomes in a user namespace
        call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
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
    """Enter the namespaces and run the command."""
    enter()
    child = os.fork()
    if child != 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command, too
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"proc", b"/proc", b"proc", 0, None)
    os.environ[INSIDE] = "1"
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

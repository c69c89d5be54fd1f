"""Run a command in a network namespace where only the loopback is up.

    unshare -rn python tools/offline.py COMMAND ...

A kernel talks to its client over 127.0.0.1, which a new namespace leaves
down.
"""

import fcntl
import os
import socket
import struct
import sys

SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1  # from <linux/sockios.h>, <linux/if.h>


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", IFF_UP)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

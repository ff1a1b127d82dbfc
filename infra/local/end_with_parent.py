"""Become a program that the kernel ends when its parent ends, however that happens (Linux).

`python -I -S end_with_parent.py PARENT_PID UID /path/of/program ARGUMENT…`. It stands between
fork and exec, where code of a process with threads must not run. UID -1 keeps the user; another
is taken here, since a change of user afterwards would drop the kernel's promise.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Take the user, ask the kernel, and become the program."""
    parent, uid, *command = sys.argv[1:]
    if int(uid) >= 0:
        os.setgroups([])
        os.setgid(int(uid))
        os.setuid(int(uid))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent ended before its child began")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

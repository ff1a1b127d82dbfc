"""Become a program of another user, or one that the kernel ends when its parent ends (Linux).

`python -I -S become.py PARENT_PID UID /path/of/program ARGUMENT…`. It does what would otherwise be
done between fork and exec, where code of a process with threads must not run: gRPC's threads have
been seen to break such a child. PARENT_PID 0 asks the kernel for nothing; UID -1 keeps the user;
another is taken here, since a change of user afterwards would drop the kernel's promise.
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
    if int(parent):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(parent):
            sys.exit("the parent ended before its child began")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

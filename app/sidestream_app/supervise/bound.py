"""Becomes another program that can't outlive its parent: `python -I -S bound.py PARENT SIGNAL UID GID PROGRAM [ARG…]`.

Run as a script of its own, between fork and the real program, because the order matters and because code between fork
and exec of a process with threads may deadlock:

1. drop privileges (UID and GID; -1 keeps them);
2. only then ask the kernel for SIGNAL on the parent's death (`PR_SET_PDEATHSIG`): a change of credentials clears it.
   It survives the exec, and it fires when the parent's *thread* that forked us ends (prctl(2));
3. leave if the parent died in between;
4. exec, so that the process id that the supervisor knows is the program's own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_EXECUTABLE = 126


def drop_privileges(uid: int, gid: int) -> None:
    """After it the process has the ids given and no supplementary group; -1 keeps everything."""
    if uid < 0:
        return
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent_pid: int, death_signal: int) -> None:
    """After it the kernel sends `death_signal` when the parent dies; ends the process if it is dead already.

    Where there is no prctl (not Linux) nothing is asked for, and only the guardian ends orphans.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    if os.getppid() != parent_pid:
        sys.exit("the supervisor ended before its child could start")


def _plain_signals() -> None:
    """A supervisor started in the background hands down an ignored SIGINT; the program must get the default."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main(argv: list[str]) -> None:
    parent_pid, death_signal, uid, gid = (int(word) for word in argv[:4])
    program = argv[4:]
    _plain_signals()
    drop_privileges(uid, gid)
    die_with_parent(parent_pid, death_signal)
    try:
        os.execvp(program[0], program)  # noqa: S606  # no shell wanted
    except OSError as error:
        print(f"cannot run {program[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(NOT_EXECUTABLE)


if __name__ == "__main__":
    main(sys.argv[1:])

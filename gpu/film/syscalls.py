"""A filter of system calls for the child that reads a film (seccomp, linux/seccomp.h). Knows no films.

Put on once everything is loaded. From then on: no file is opened, made, renamed or removed, no socket made,
no program started, no process forked or signalled. Threads, memory and what is open already go on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import sys

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000  # SECCOMP_RET_*
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h: LD|W|ABS ...
_NR, _ARCH, _ARG_0 = 0, 4, 16  # offsets in struct seccomp_data, little-endian
_CLONE_THREAD = 0x10000
_X32 = 0x40000000  # numbers of the x32 interface begin here

# machine -> (AUDIT_ARCH_*, clone, clone3, refused), by the kernel's tables
# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
_X86_64 = """
    2 257 437 85 304 303 open openat openat2 creat
    41 53 42 49 50 43 288 socket socketpair connect bind listen accept accept4
    59 322 57 58 101 310 311 execve execveat fork vfork ptrace process_vm_readv process_vm_writev
    62 200 234 129 297 424 434 438 kill tkill tgkill pidfd_send_signal pidfd_open pidfd_getfd
    87 263 84 82 264 316 86 265 88 266 unlink .. symlinkat
    83 258 133 259 76 77 90 91 268 92 93 94 260 mkdir(at) mknod(at) truncate ftruncate chmod.. chown..
    280 261 235 132 188 189 190 utimensat futimesat utimes utime setxattr..
    161 155 165 166 272 308 428 429 430 442 chroot pivot_root mount umount2 unshare setns open_tree..
    425 321 298 323 248 249 250 319 29 64 68 240 io_uring bpf perf keys memfd_create shm ..
"""
_ARM_64 = """
    56 437 265 264 openat openat2
    198 199 203 200 201 202 242 socket socketpair connect bind listen accept accept4
    221 281 117 270 271 execve execveat ptrace process_vm_readv process_vm_writev
    129 130 131 138 240 424 434 438 kill tkill tgkill pidfd_send_signal pidfd_open pidfd_getfd
    35 38 276 37 36 34 33 45 46 52 53 54 55 unlinkat .. chown
    88 5 6 7 51 41 40 39 97 268 428 429 430 442 utimensat .. setns
    425 280 241 282 217 218 219 279 194 190 186 180 io_uring bpf perf keys memfd_create shm ..
"""
_TABLES = {"x86_64": (0xC000003E, 56, 435, _X86_64), "aarch64": (0xC00000B7, 220, 435, _ARM_64)}


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("yes", ctypes.c_ubyte),
        ("no", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def refuse() -> bool:
    """For this thread and those it starts; whether it holds. Needs PR_SET_NO_NEW_PRIVS, or privileges."""
    table = _TABLES.get(platform.machine()) if sys.platform == "linux" else None
    if table is None:
        return False
    arch, clone, clone3, refused = table
    steps = _steps(arch, clone, clone3, [int(word) for word in refused.split() if word.isdigit()])
    array = (_Step * len(steps))(*(_Step(*step) for step in steps))
    program = _Program(len(steps), array)
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _steps(arch: int, clone: int, clone3: int, refused: list[int]) -> list[tuple[int, int, int, int]]:
    steps = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),  # its flags are in memory: libraries take clone instead
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _ARG_0),
        (_ANY_BIT, 0, 2 * len(refused) + 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for number in refused:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return [*steps, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]

"""Filters of system calls, as programs for the kernel (seccomp, classic BPF). x86-64 only.

LAUNCH: for what bubblewrap starts; an allow-list, everything else does not exist (ENOSYS). ALONE: on top of it, or by
itself, takes away what makes processes: a fork, another program, signals to others, sockets.
"""

import ctypes
import errno
import os
import struct
import sys

SUPPORTED = sys.platform == "linux" and os.uname().machine == "x86_64"

# From the kernel's arch/x86/entry/syscalls/syscall_64.tbl: what CPython and libraries like numpy need to compute.
ALLOWED = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39, "clone": 56, "fork": 57, "vfork": 58,
    "execve": 59, "exit": 60, "wait4": 61, "kill": 62, "uname": 63, "fcntl": 72, "getdents": 78, "getcwd": 79,
    "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102,
    "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131, "arch_prctl": 158,
    "setrlimit": 160, "gettid": 186, "time": 201, "futex": 202, "sched_getaffinity": 204, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "tgkill": 234, "openat": 257, "newfstatat": 262, "pselect6": 270, "ppoll": 271,
    "set_robust_list": 273, "dup3": 292, "pipe2": 293, "prlimit64": 302, "getcpu": 309, "seccomp": 317,
    "getrandom": 318, "statx": 332, "rseq": 334, "faccessat2": 439,
}  # fmt: skip
IOCTL, CLONE, PRCTL, CLONE3 = 16, 56, 157, 435
MAKES_PROCESSES = {
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62, "tkill": 200, "tgkill": 234, "ptrace": 101,
    "socket": 41, "connect": 42, "socketpair": 53, "unshare": 272, "setns": 308, "mount": 165,
    "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_send_signal": 424,
    "io_uring_setup": 425, "bpf": 321, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "request_key": 249,
    "perf_event_open": 298, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
}  # fmt: skip
CLONE_THREAD = 0x10000
AUDIT_ARCH_X86_64 = 0xC000003E
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
X32 = 0x40000000  # set in the numbers of calls with pointers of 32 bits, of the same architecture otherwise


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _begin() -> bytes:
    """Another architecture has other numbers, and so have pointers of 32 bits: whoever calls by them ends."""
    return (
        _step(LOAD, ARCHITECTURE)
        + _step(EQUAL, AUDIT_ARCH_X86_64, if_true=1)
        + _step(RETURN, KILL)
        + _step(LOAD, NUMBER)
        + _step(AT_LEAST, X32, if_false=1)
        + _step(RETURN, KILL)
    )


def _each(numbers: list[int], verdict: int) -> bytes:
    """What is on the list ends here, with that verdict; a pair for each, as jumps reach no further than 255 steps."""
    return b"".join(_step(EQUAL, number, if_false=1) + _step(RETURN, verdict) for number in numbers)


# prctl changes nothing but the process itself, and can't raise its rights: no_new_privs stands. No file is a terminal.
LAUNCH = (
    _begin()
    + _each([*ALLOWED.values(), PRCTL], ALLOW)
    + _each([IOCTL], REFUSE | errno.ENOTTY)
    + _step(RETURN, REFUSE | errno.ENOSYS)
)
ALONE = (
    _begin()
    + _each(list(MAKES_PROCESSES.values()), REFUSE | errno.EPERM)
    + _each([CLONE3], REFUSE | errno.ENOSYS)  # whose arguments no filter can see; libraries then take clone
    # A thread may be made, a process may not.
    + _step(EQUAL, CLONE, if_false=4)
    + _step(LOAD, FIRST_ARGUMENT)
    + _step(ANY_BIT, CLONE_THREAD, if_true=1)
    + _step(RETURN, REFUSE | errno.EPERM)
    + _step(RETURN, ALLOW)
    + _step(RETURN, ALLOW)
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def install(program: bytes) -> None:
    """Bind this thread, and what it starts, to the filter, for ever.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = _Program(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    set_no_new_privs, set_seccomp, mode_filter = 38, 22, 2
    for arguments in ((set_no_new_privs, 1, 0, 0, 0), (set_seccomp, mode_filter, ctypes.byref(filter_), 0, 0)):
        if libc.prctl(*arguments) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"prctl: {os.strerror(code)}")

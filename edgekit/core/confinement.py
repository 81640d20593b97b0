"""A process that gives up what it does not need: files, network, programs, other processes.

Linux alone offers it to everybody: Landlock for files and signals (kernel 5.13, signals 6.12),
seccomp for system calls. Both hold for the process and what it starts, and are never lifted. What a
kernel does not have is left out; `isolation` says what there is.

Sources: the kernel's Documentation/userspace-api/landlock.rst and seccomp_filter.rst, and its
tables of system calls.
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from edgekit.core.interpreter import module_folders, package_folders
from edgekit.core.memory import free_memory

__all__ = ["Confinement", "confine", "environment_of", "isolation"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
# Rights on files, LANDLOCK_ACCESS_FS_*: none is granted to execute.
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
# How many rights each version of Landlock knows.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_SINCE_5 = 16
_TCP = 0b11  # bind and connect, since version 4
_SCOPED = 0b11  # abstract sockets and signals, since version 6
_ON_A_FILE = _WRITE_FILE | _READ_FILE | _TRUNCATE

_NO_NEW_PRIVS, _GET_SECCOMP, _SET_SECCOMP, _FILTER = 38, 21, 22, 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD = 0x10000
# Calls of Linux 5.1 and later have one number on every machine, and new ones are added: what is
# none of these is not there. They close and open files, and wait.
_FIRST_NEW = 424
_NEW = (436, 437, 439, 441, 449, 451, 453, 454, 455, 456, 462)
# Machine to (its number in the audit interface, the column of `_CALLS`).
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
# System calls that read no file and compute nothing: number on x86_64 and on aarch64.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    # network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201),
    # programs and processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    # memory, queues and semaphores of others, which have numbers that can be guessed
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186),
    "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # files by number, and news of files
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    # the machine
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "vhangup": (153, 58),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "quotactl": (179, 60),
    "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None),
    "setrlimit": (160, 164),
}  # fmt: skip
# What belongs to a file beside its content, which Landlock does not watch. The calls do nothing and
# succeed: whoever writes a file in a place of its own may set its mode, and nothing depends on it.
_IDLE: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "utime": (132, None), "utimes": (235, None), "utimensat": (280, 88),
    "futimesat": (261, None),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = (56, 220), 435, (302, 261)

# What Python, torch and the C library read of a system. Of /proc only what belongs to the process.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/nix/store", "/gnu/store",
    "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/random", "/dev/zero",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system",
    "/sys/fs/cgroup",
)  # fmt: skip
_NULL = "/dev/null"
# Variables that say how to compute and where libraries are; the beginnings of their names.
_VARIABLES = (
    "LANG", "LC_", "TZ", "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHON", "VIRTUAL_ENV",
    "CONDA_PREFIX", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "SYSTEMROOT", "WINDIR",
    "EDGEKIT_SUBJECT",
)  # fmt: skip
# Bytes that Python and torch take.
_LEAST_MEMORY = 1 << 30
# The largest file. A graph is limited to 2 GB.
_FILE_BYTES = 4 << 30
# A day of every core, for one whose parent is gone; see also Child.
_SECONDS_A_CORE = 86_400


class Confinement(msgspec.Struct, frozen=True):
    """What a process may touch beside Python, its libraries and the system's.

    Attributes:
        reads: Files, and folders with all that is in them; links are followed.
        writes: Folders that it may read, write and empty.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def isolation() -> str:
    """Return in a few words what this machine takes from a confined process; empty for nothing."""
    version = _landlock_version()
    parts = [f"files{' and TCP' if version >= 4 else ''} (Landlock {version})"] if version else []
    if _seccomp_machine() is not None:
        parts.append("all network, programs and other processes (seccomp)")
    return "; ".join(parts)


def environment_of(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return what a confined process needs of an environment: nothing that may be a secret.

    Args:
        environment: Of the process that starts it.
        folder: Stands for the home and for temporary files.
    """
    import site

    kept = {
        name: value for name, value in environment.items() if name.upper().startswith(_VARIABLES)
    }
    temporary = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"), str(folder))
    return {**kept, **temporary, "PYTHONUSERBASE": str(site.getuserbase())}


def confine(allowed: Confinement) -> None:
    """Give up in this process all that `allowed` does not name, as far as the system can.

    Threads that run already keep what they have: it is called before there are any.

    Args:
        allowed: What it may touch.
    """
    _limit()
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return
    version = _landlock_version()
    if version:
        _restrict_files(libc, version, allowed)
    machine = _seccomp_machine()
    if machine is not None:
        _restrict_calls(libc, *machine)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {
        # The rest is for its parent, and for files in memory.
        "RLIMIT_DATA": max(free_memory() * 3 // 4, _LEAST_MEMORY),
        "RLIMIT_CPU": _SECONDS_A_CORE * (os.cpu_count() or 1),
        "RLIMIT_FSIZE": _FILE_BYTES,
        "RLIMIT_CORE": 0,
    }
    for name, most in limits.items():
        _, hard = resource.getrlimit(getattr(resource, name))
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(getattr(resource, name), (wanted, wanted))


def _landlock_version() -> int:
    """0 where there is none, or where the container or the kernel's command line refuse it."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def _seccomp_machine() -> tuple[int, int] | None:
    """The machine's number and column; None where its system calls are not known here."""
    # A Python of 32 bits has other numbers on the same machine.
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    configured = ctypes.CDLL(None).prctl(_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return _MACHINES.get(platform.machine()) if configured else None


def _restrict_files(libc: ctypes.CDLL, version: int, allowed: Confinement) -> None:
    rights = (1 << _RIGHTS.get(version, _RIGHTS_SINCE_5)) - 1
    handled = struct.pack(
        "=QQQ", rights, _TCP if version >= 4 else 0, _SCOPED if version >= 6 else 0
    )
    size = {True: 24, False: 16 if version >= 4 else 8}[version >= 6]
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses a set of rules")
    for path, access in _rules(allowed):
        _allow(libc, ruleset, path, access & rights)
    if libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses to restrict the process")
    os.close(ruleset)


def _rules(allowed: Confinement) -> Iterator[tuple[str, int]]:
    python = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values())
    yield from _each((*_SYSTEM, *python, *module_folders(), *package_folders()), _READ)
    yield from _each(os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep), _READ)
    yield from _each(allowed.reads, _READ)
    yield from _each(allowed.writes, _WRITE | _REFER | _TRUNCATE)
    yield _NULL, _READ_FILE | _WRITE_FILE


def _each(paths: Iterable[str], access: int) -> Iterator[tuple[str, int]]:
    for path in paths:
        if Path(path).is_absolute():
            yield path, access


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not every system has every folder
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            access &= _ON_A_FILE
        rule = struct.pack("=Qi", access, place)
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"Landlock refuses a rule for {path}")
    finally:
        os.close(place)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _restrict_calls(libc: ctypes.CDLL, machine: int, column: int) -> None:
    """Refuse `_CALLS` with EPERM and skip `_IDLE`; a thread may be started, a process not."""
    load, equal, greater, bit, back = 0x20, 0x15, 0x35, 0x45, 0x06
    number, architecture, flags, new_limit = 0, 4, 16, 32
    steps = [
        (load, 0, 0, architecture),
        (equal, 1, 0, machine),
        (back, 0, 0, _KILL),
        (load, 0, 0, number),
        # x86_64 has a second table behind this bit, of which no library makes use.
        (greater, 0, 1, 0x40000000),
        (back, 0, 0, _REFUSE | _EPERM),
        # Its flags lie in memory, where a filter does not see them: the C library then takes clone.
        (equal, 0, 1, _CLONE3),
        (back, 0, 0, _REFUSE | _ENOSYS),
        (equal, 0, 4, _CLONE[column]),
        (load, 0, 0, flags),
        (bit, 1, 0, _CLONE_THREAD),
        (back, 0, 0, _REFUSE | _EPERM),
        (back, 0, 0, _ALLOW),
        # Limits are read by a call that sets them too, where its third argument is no null pointer.
        (equal, 0, 6, _PRLIMIT[column]),
        (load, 0, 0, new_limit),
        (equal, 0, 3, 0),
        (load, 0, 0, new_limit + 4),
        (equal, 0, 1, 0),
        (back, 0, 0, _ALLOW),
        (back, 0, 0, _REFUSE | _EPERM),
    ]
    for calls, error in ((_CALLS, _EPERM), (_IDLE, 0)):
        for numbers in calls.values():
            call = numbers[column]
            if call is not None:
                steps += [(equal, 0, 1, call), (back, 0, 0, _REFUSE | error)]
    for new in _NEW:
        steps += [(equal, 0, 1, new), (back, 0, 0, _ALLOW)]
    steps += [
        (greater, 0, 1, _FIRST_NEW),
        (back, 0, 0, _REFUSE | _ENOSYS),
        (back, 0, 0, _ALLOW),
    ]
    packed = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), packed)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp refuses a filter")

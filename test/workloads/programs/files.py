#!/usr/bin/python3
"""What programs of several processes do with files, below argv[1]: locks, mappings, O_DIRECT, holes, large folders, names that change."""
import errno
import fcntl
import mmap
import os
import sys

folder = os.path.join(sys.argv[1], "files")
REFUSED = 7
entries = int(sys.argv[2]) if len(sys.argv) > 2 else 1000


def in_child(act):
    """Runs `act` in another process, and returns its exit status: 1 when it throws."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = act() or 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def locks():
    write("lock", b"0")
    for lock in (fcntl.flock, fcntl.lockf):

        def is_refused(lock=lock):
            with open("lock", "r+b") as other:
                try:
                    lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return REFUSED
            return 0

        with open("lock", "r+b") as held:
            lock(held, fcntl.LOCK_EX)
            assert in_child(is_refused) == REFUSED, lock.__name__
            lock(held, fcntl.LOCK_UN)
            assert in_child(is_refused) == 0, lock.__name__

    def count():
        for _ in range(50):
            with open("lock", "r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX)
                number = int(file.read())
                file.seek(0)
                file.write(b"%d" % (number + 1))
                file.flush()
                fcntl.lockf(file, fcntl.LOCK_UN)

    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            count()
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert read("lock") == b"150", read("lock")


def mappings():
    size = 1 << 20
    write("mapped", bytes(size))
    with open("mapped", "r+b") as file:
        shared = mmap.mmap(file.fileno(), size)

        def change():
            shared[4096:4101] = b"child"
            shared.flush()

        assert in_child(change) == 0
        assert shared[4096:4101] == b"child"
        # What is written is in the mapping, and the other way round.
        os.pwrite(file.fileno(), b"written", 8192)
        assert shared[8192:8199] == b"written"
        shared[12288:12294] = b"mapped"
        assert os.pread(file.fileno(), 6, 12288) == b"mapped"
        os.fsync(file.fileno())
        shared.close()
    content = read("mapped")
    assert (content[4096:4101], content[8192:8199], content[12288:12294]) == (b"child", b"written", b"mapped")
    assert len(content) == size
    # A file that is gone stays whole for those who have it open.
    with open("mapped", "r+b") as file:
        os.unlink("mapped")
        os.ftruncate(file.fileno(), 100)
        os.fchmod(file.fileno(), 0o600)
        assert os.fstat(file.fileno()).st_size == 100
        write("mapped", b"another")
        assert os.fstat(file.fileno()).st_nlink == 0 and os.fstat(file.fileno()).st_size == 100


def direct():
    buffer = mmap.mmap(-1, 1 << 16)
    buffer.write(os.urandom(1 << 16))
    try:
        file = os.open("direct", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    except OSError as error:
        # tmpfs before Linux 6.6 has no direct reads and writes.
        assert error.errno == errno.EINVAL
        return
    for at in range(0, 1 << 20, 1 << 16):
        assert os.pwritev(file, [buffer], at) == 1 << 16
    os.fdatasync(file)
    again = mmap.mmap(-1, 1 << 16)
    assert os.preadv(file, [again], 1 << 16) == 1 << 16
    assert again[:] == buffer[:]
    assert read("direct") == buffer[:] * 16
    os.close(file)


def holes():
    file = os.open("sparse", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, b"end", 1 << 30)
    os.fsync(file)
    status = os.fstat(file)
    assert status.st_size == (1 << 30) + 3
    assert status.st_blocks * 512 < 1 << 20, status.st_blocks
    assert os.pread(file, 10, 1 << 29) == bytes(10)
    assert os.lseek(file, 0, os.SEEK_DATA) > 1 << 29
    os.posix_fallocate(file, 0, 1 << 20)
    assert os.fstat(file).st_blocks * 512 >= 1 << 20
    os.close(file)
    os.unlink("sparse")


def give_name(file, name):
    # With a folder's descriptor it is linkat(2), which follows the link.
    here = os.open(".", os.O_PATH)
    os.link(f"/proc/self/fd/{file}", name, src_dir_fd=here, follow_symlinks=True)
    os.close(here)


def nameless():
    """A file without a name has all its rights and content when it gets one, and is gone with its descriptor otherwise."""
    file = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(file, b"kept")
    assert os.fstat(file).st_nlink == 0 and os.listdir(".").count("kept") == 0
    give_name(file, "kept")
    status = os.stat("kept")
    assert read("kept") == b"kept" and status.st_nlink == 1 and status.st_mode & 0o777 == 0o640, status
    os.close(file)
    alone = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
    os.write(alone, b"lost")
    try:
        give_name(alone, "lost")
        raise AssertionError("a file that is to stay without a name got one")
    except OSError as error:
        assert error.errno == errno.ENOENT, error
    os.close(alone)


def large_folder():
    os.mkdir("large")
    for number in range(entries):
        os.close(os.open(f"large/{number}", os.O_CREAT | os.O_WRONLY, 0o644))
    assert sorted(map(int, os.listdir("large"))) == list(range(entries))
    # Every second one goes while the folder is read.
    with os.scandir("large") as names:
        seen = set()
        for entry in names:
            seen.add(entry.name)
            if int(entry.name) % 2 == 0:
                os.unlink(entry.path)
    assert len(seen) == entries, len(seen)
    assert sorted(map(int, os.listdir("large"))) == list(range(1, entries, 2))
    for number in range(1, entries, 2):
        os.unlink(f"large/{number}")
    os.rmdir("large")


def names():
    """A reader finds the old file or the new one, whole, while another process puts new ones in its place."""
    write("current", b"0" * 1000)
    pid = os.fork()
    if pid == 0:
        for number in range(100):
            write("next", b"%d" % (number % 10) * 1000)
            os.rename("next", "current")
        os._exit(0)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        content = read("current")
        assert len(content) == 1000 and len(set(content)) == 1, content
    assert read("current") == b"9" * 1000
    os.link("current", "second")
    assert os.stat("second").st_nlink == 2 and os.path.samefile("current", "second")
    with open("second", "ab") as file:
        file.write(b"more")
    assert os.stat("current").st_size == 1004 and read("current").endswith(b"more")
    os.unlink("current")
    assert os.stat("second").st_nlink == 1
    os.symlink("second", "link")
    assert os.readlink("link") == "second" and os.stat("link").st_size == 1004
    os.mkdir("one")
    os.mkdir("two")
    write("two/file", b"")
    try:
        os.rename("one", "two")
        raise AssertionError("a folder with files was replaced")
    except OSError as error:
        assert error.errno == errno.ENOTEMPTY, error
    os.unlink("two/file")
    os.rename("one", "two")


def appends():
    """Lines of several processes that append to one file, none of them lost or cut."""
    children = []
    for writer in range(4):
        pid = os.fork()
        if pid == 0:
            file = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for number in range(100):
                os.write(file, b"%d %d %s\n" % (writer, number, b"x" * 50))
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    assert sorted(read("log").splitlines()) == sorted(
        b"%d %d %s" % (writer, number, b"x" * 50) for writer in range(4) for number in range(100)
    )


os.mkdir(folder)
os.chown(folder, 1234, 1234)
os.setgroups([])
os.setresgid(1234, 1234, 1234)
os.setresuid(1234, 1234, 1234)
os.chdir(folder)
failed = []
for act in (locks, mappings, direct, holes, nameless, large_folder, names, appends):
    try:
        act()
    except Exception as error:
        failed.append(act.__name__)
        print(f"{act.__name__}: {type(error).__name__}: {error} (line {error.__traceback__.tb_next.tb_lineno})")
sys.exit(1 if failed else 0)

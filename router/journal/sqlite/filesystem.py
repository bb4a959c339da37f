"""Where a journal file lies. On a network file system neither locks nor fsync can be relied on."""

from pathlib import Path
from typing import Final

from router.errors import ConfigError

# https://www.sqlite.org/wal.html: "All processes using a database must be on the same host computer; WAL does not
# work over a network filesystem." The names are those the Linux kernel and common FUSE programs mount under.
_NETWORK: Final = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb", "smb3", "smbfs",
    "fuse.ceph", "fuse.cephfs", "fuse.curlftpfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.rclone",
    "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs",
})  # fmt: skip
_MOUNTS: Final = Path("/proc/self/mountinfo")


def refuse_network(path: Path) -> None:
    """Raise `ConfigError` when the file lies, or would lie, on a network file system."""
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return  # not Linux: nothing to tell by
    kind = filesystem_of(path.resolve(), mounts)
    if kind in _NETWORK:
        raise ConfigError(
            [
                f"journal.url: {path} is on a network file system ({kind}), where a SQLite journal is not safe; "
                "put it on a local disk or use postgresql://"
            ]
        )


def filesystem_of(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds an absolute path, by the text of /proc/self/mountinfo (proc(5))."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        fields = mount.split()
        if len(fields) < 5 or not rest:
            continue
        point = Path(_unescaped(fields[4]))
        # A later mount hides an earlier one on the same point.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), rest.split()[0]
    return kind


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field

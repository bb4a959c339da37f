"""A SQLite journal that knows less than it once did says so (row 37): a new epoch begins."""

import shutil
from pathlib import Path

from router.journal import open_journal


async def first_epoch(file: Path) -> bool:
    """Open the journal, close it again, and say whether it has had no other epoch."""
    async with await open_journal(f"sqlite:///{file}") as journal:
        return journal.first_epoch


async def test_a_journal_that_is_only_opened_again_keeps_its_epoch(tmp_path: Path) -> None:
    """A restart is no loss."""
    file = tmp_path / "journal.db"
    assert [await first_epoch(file) for _ in range(3)] == [True, True, True]


async def test_an_older_copy_over_the_same_file_begins_an_epoch(tmp_path: Path) -> None:
    """`cp backup.db journal.db` keeps the inode; the note beside the file tells that it was written since."""
    file, backup = tmp_path / "journal.db", tmp_path / "backup.db"
    await first_epoch(file)
    shutil.copy(file, backup)
    await first_epoch(file)
    inode = file.stat().st_ino
    shutil.copyfile(backup, file)
    assert file.stat().st_ino == inode
    assert not await first_epoch(file)


async def test_an_empty_file_in_its_place_begins_an_epoch(tmp_path: Path) -> None:
    """A file that was lost is not mistaken for the first one, and stays remembered as lost."""
    file = tmp_path / "journal.db"
    await first_epoch(file)
    for part in tmp_path.glob("journal.db*"):
        if not part.name.endswith("-seen"):
            part.unlink()
    assert [await first_epoch(file) for _ in range(2)] == [False, False]

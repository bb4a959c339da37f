"""The one thread that writes to a SQLite journal outlives whatever the disk says."""

from pathlib import Path
from typing import Any

import pytest

from router.errors import JournalUnavailable
from router.journal import open_journal
from router.journal.sqlite import writer
from tests.integration.journal.conftest import until
from tests.journal_cases import close, reply

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(5, "i/o"), ValueError("a defect")])
async def test_a_disk_that_does_not_even_say_what_is_there_ends_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """`exists` may raise as well. Once the disk is mended the journal is, too."""
    async with await open_journal(f"sqlite:///{tmp_path}/journal.db") as journal:
        broken, looks = True, 0
        real = Path.exists

        def exists(path: Path) -> bool:
            nonlocal looks
            if broken and path.name == "journal.db":
                looks += 1
                raise error
            return real(path)

        def begin(_: Any) -> None:
            raise OSError(5, "i/o")

        monkeypatch.setattr(Path, "exists", exists)
        with monkeypatch.context() as patched:
            patched.setattr(writer.Writer, "_begin", begin)
            with pytest.raises(JournalUnavailable):
                await journal.admit(close("c1"), reply("c1"), "d")

        async def looked() -> bool:
            return looks > 1

        await until(looked, 60)
        assert not journal.writable
        broken = False

        async def mended() -> bool:
            return journal.writable

        await until(mended, 60)
        await journal.admit(close("c1"), reply("c1"), "d")

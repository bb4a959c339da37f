"""A process with the journal open: `python -m tests.integration.journal.pod URL WHAT ARGUMENT`.

count N       admit N closes whose ids everybody uses, print how many were new
before ID     admit a close, and be killed after its rows are written, before their commit
after ID      admit a close, and be killed once it is told that it is stored
freeze ID     admit a close, and be stopped after its rows are written, before their commit; then go on
"""

import asyncio
import os
import signal
import sys
import threading

from router.journal import Store, open_journal
from router.journal.postgres.transactions import Transactions
from router.journal.sqlite.writer import Writer
from router.records.command import Admitted
from tests.journal_cases import began, close, reply


async def _run(url: str, what: str, argument: str) -> None:
    async with await open_journal(url) as journal:
        if what == "count":
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            print(await _count(journal, int(argument)))
            return
        if what != "after":
            _before_commit(signal.SIGKILL if what == "before" else signal.SIGSTOP)
        await journal.admit(began(close(argument)), reply(), "digest")
        print("stored", flush=True)
        if what == "after":
            os.kill(os.getpid(), signal.SIGKILL)


async def _count(journal: Store, commands: int) -> int:
    async def admit(number: int) -> bool:
        record = close(f"a{number}", position=f"p{number}")
        return isinstance(await journal.admit(record, reply(), "digest"), Admitted)

    return sum(await asyncio.gather(*(admit(number) for number in range(commands))))


def _before_commit(number: signal.Signals) -> None:
    end, commit = Writer._end, Transactions.commit

    def struck_end(self: Writer) -> None:
        # At this very thread: one that hits the process lets this thread go on for a moment, long enough to commit.
        signal.pthread_kill(threading.get_ident(), number)
        end(self)

    async def struck_commit(self: Transactions, connection: object, transaction: object) -> None:
        signal.pthread_kill(threading.get_ident(), number)
        await commit(self, connection, transaction)

    Writer._end = struck_end  # type: ignore[method-assign]  # the process is about to die here
    Transactions.commit = struck_commit  # type: ignore[method-assign]  # the same


if __name__ == "__main__":
    asyncio.run(_run(*sys.argv[1:]))

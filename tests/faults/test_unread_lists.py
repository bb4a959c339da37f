"""Row 42 and its kin: what the venue does not show, and a key that it does not take, as a sender sees it."""

from typing import Any

from tests.stack import until

LOOKS = 4


async def test_a_venue_that_hides_rows_never_makes_a_close_rejected(trials: Any) -> None:
    """Row 42: executed, answer lost, and every list empty but for the flag that it hides rows."""
    async with trials(venues=["coinbase"]) as made:
        coinbase = made.simulators.venues["coinbase"]
        await made.worker()
        coinbase.behave(hides_rows=True)
        try:
            made.inject("coinbase", on="close", when="after", what="hang")
            command_id = await made.publish(made.close("coinbase"))

            def looks() -> int:
                return len([entry for entry in made.ledger("request", "coinbase") if entry.endpoint == "list_orders"])

            await until(lambda: looks() >= LOOKS, 60.0)
            told = [result["outcome"] for result in made.sender.results_of(command_id)]
            assert told == ["in_doubt"]
        finally:
            coinbase.behave(hides_rows=False)
        result = await made.sender.final(command_id, 60.0)
        assert (result["outcome"], result["evidence"]) == ("accepted", "query")
        await made.judge()


async def test_a_cancel_of_an_unknown_order_is_answered_within_seconds(trials: Any) -> None:
    """The venue denies the order twice: that need not wait for a close's quarantine."""
    async with trials(venues=["coinbase"]) as made:
        made.change("venues.coinbase", quarantine_s=120.0)
        await made.worker()
        command = made.cancel("coinbase", order_id="5a1d2c3b-0000-4000-8000-00000000dead")
        result = await made.ask(command, 30.0)
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", "order_not_found")
        await made.judge()


async def test_a_key_that_is_not_taken_costs_three_calls_at_most(trials: Any) -> None:
    """A 401 without a body: two more tries, then `auth_failed`; an address was once blocked after fifty."""
    async with trials(venues=["btcturk"]) as made:
        await made.worker()
        made.inject("btcturk", on="any", when="before", what="status", status=401, times=None)
        result = await made.ask(made.fresh_cancel("btcturk"))
        assert (result["outcome"], result["reason"]["code"]) == ("rejected", "auth_failed")
        calls = [entry.endpoint for entry in made.ledger("request", "btcturk")]
        assert len(calls) <= 3
        assert set(calls) == {"delete_order"}, "no look goes on asking"


async def test_a_key_that_lacks_something_is_named_at_the_start(trials: Any) -> None:
    """Without any command: the worker tries what its lookups and feeds will need, and says what is refused."""
    async with trials(venues=["btcturk"]) as made:
        made.inject("btcturk", on="all_orders", when="before", what="status", status=403, times=None)
        worker = await made.worker()
        await until(lambda: "a key cannot do what is needed" in worker.said())
        (line,) = [line for line in worker.said().splitlines() if "a key cannot do" in line]
        assert "account_restricted 403 all_orders" in line
        assert (await made.ask(made.cancel("btcturk")))["outcome"] == "accepted"

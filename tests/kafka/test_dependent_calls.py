"""Calls that need other calls' results: published by the aggregator as soon as those are there."""

from __future__ import annotations

from agents.tools.tool import tool
from tests.support.pipeline import call, results, running, script


def after(name: str, path: str = "") -> dict[str, str]:
    """Refer to another call's result."""
    return {"$result": name, "path": path}


def labelled(name: str, planned: dict[str, object]) -> dict[str, object]:
    """Give a call a name that others can refer to it by."""
    return {"id": name, **planned}


SCRIPT = script(
    (
        "^shop$",
        [
            {
                "calls": [
                    labelled("price", call("look_up", name="tea")),
                    labelled("sum", call("multiply", amount=after("price", "/price"), by=3)),
                    call("pay", amount=after("sum")),
                ]
            },
            {"answer": "paid {results[2]}"},
        ],
    ),
    (
        "^broken$",
        [
            {
                "calls": [
                    labelled("price", call("look_up", name="nothing")),
                    call("pay", amount=after("price", "/price")),
                    call("multiply", amount=2, by=2),
                ]
            },
            {"answer": "done"},
        ],
    ),
    ("^circle$", [{"calls": [labelled("a", call("pay", amount=after("a")))]}]),
    (
        "^wrong kind$",
        [{"calls": [labelled("a", call("look_up", name="tea")), call("pay", amount=after("a", "/name"))]}],
    ),
)
PAID: list[int] = []


@tool
def look_up(name: str) -> dict[str, object]:
    """Look up a price."""
    return {"name": name, "price": {"tea": 7}[name]}


@tool
def multiply(amount: int, by: int) -> int:
    """Multiply."""
    return amount * by


@tool(effectful=True)
def pay(amount: int) -> int:
    """Pay, for good."""
    PAID.append(amount)
    return amount


async def test_calls_run_when_what_they_need_is_there(kafka: str, topic_prefix: str) -> None:
    """A chain in one turn of the model; its last call has an effect, once."""
    PAID.clear()
    async with running(kafka, topic_prefix, SCRIPT, [look_up, multiply, pay]) as pipeline:
        response = await pipeline.ask("shop")
        assert (response["status"], response["answer"], PAID) == ("completed", "paid 21", [21])
        assert results(response) == [{"name": "tea", "price": 7}, 21, 21]
        assert [one["arguments"] for one in response["results"]][1:] == [{"amount": 7, "by": 3}, {"amount": 21}]
        await pipeline.assert_answered_once(response["correlation_id"])


async def test_calls_that_can_never_run_are_skipped_and_say_why(kafka: str, topic_prefix: str) -> None:
    """The others go on; what a result makes of arguments is validated by the worker like any arguments."""
    PAID.clear()
    async with running(kafka, topic_prefix, SCRIPT, [look_up, multiply, pay]) as pipeline:
        broken, circle, wrong = [await pipeline.ask(prompt) for prompt in ("broken", "circle", "wrong kind")]
        assert [one["status"] for one in broken["results"]] == ["failed", "skipped", "succeeded"]
        assert broken["results"][1]["error"]["code"] == "dependency_failed"
        assert broken["status"] == "partial"
        assert (circle["status"], circle["error"]["code"]) == ("failed", "invalid_plan")
        assert wrong["results"][1]["error"]["code"] == "invalid_arguments"
        assert PAID == []

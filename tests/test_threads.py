import asyncio

from posology.threads import run_to_end


async def answer():
    await asyncio.sleep(0)
    return 42


def test_a_coroutine_runs_to_its_end():
    assert run_to_end(answer()) == 42


def test_so_it_does_within_a_running_loop():
    async def notebook():
        return run_to_end(answer())

    assert asyncio.run(notebook()) == 42

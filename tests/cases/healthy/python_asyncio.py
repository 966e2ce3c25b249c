# Python's asyncio, with thirty children at a time.
import asyncio


async def child():
    process = await asyncio.create_subprocess_exec("/bin/sleep", "0.1")
    return await process.wait()


async def main():
    assert sum(await asyncio.gather(*(child() for _ in range(30)))) == 0


asyncio.run(main())

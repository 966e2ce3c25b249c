# Python's process pools, by fork and by spawn.
import concurrent.futures
import multiprocessing


def square(number):
    return number * number


if __name__ == "__main__":
    for method in ["fork", "spawn"]:
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
            assert sum(pool.map(square, range(50))) == 40425
        with context.Pool(3) as pool:
            assert sum(pool.map(square, range(50))) == 40425

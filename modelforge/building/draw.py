"""draw: decided parameters and their memory → values, and sums over them.

Long parameters are drawn in chunks of a fixed size, each with a key of its own, so that neither the number of threads
nor the order of work changes a bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from math import gcd, prod
from operator import add

import torch

from modelforge.building.checksum import checksum, checksum_of, checksum_of_seen
from modelforge.building.shards import Shard
from modelforge.building.tally import Tally, measure, rows_of_chunk, rows_of_matrix
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.matrix import Matrix
from modelforge.core.rng import CHUNK, Key
from modelforge.core.torch_state import num_cores, one_thread
from modelforge.inits.fills import Fill
from modelforge.inits.laws.drawing import expect
from modelforge.inits.laws.seen import BLOCK, Seen
from modelforge.planning.assign import ParameterPlan

_ONE_JOB, _FEW = 1 << 10, 1 << 15
"""As many values are drawn in the time that a job takes beside them, and in the time that threads take to start."""
_AGAIN = 1 << 26
"""A job that costs more is not run a second time: a matrix of a million values, say."""
_LONG = 4
"""Chunks of a job where all values are known beforehand: to write them takes little more time than the job itself."""


def draw(items: Sequence[ParameterPlan], shards: Mapping[str, Shard], seed: int) -> dict[str, list[Tally]]:
    """Fills each parameter exactly once, on all cores; of a sharded one the part that lives here.

    Args:
        items: Parameters whose schemes draw.
        shards: Their memory, by path; on any device and of any floating dtype.
        seed: Key of all random numbers.

    Returns:
        For each path the sums over the values written here, one for each of its fills.

    Raises:
        ForgeError: a scheme refuses while it fills, or draws from something else than the generator that it is given.
    """
    if not items:
        return {}
    regions = {item.path: list(_regions(item)) for item in items}
    outputs_first = {item.path: shards[item.path].exchanged(item.transposed) for item in items}
    expect(sum(prod(item.shape) for item in items))
    jobs = [job for item in items for job in _jobs(item, regions[item.path], outputs_first[item.path], seed)]
    # Matrices first: they cannot be cut, and one begun last would keep a single thread busy.
    before = torch.get_rng_state()
    _run(sorted(jobs, key=lambda job: -job.cost))
    if not torch.equal(before, torch.get_rng_state()):
        raise ForgeError(_drawn_globally(items))
    if problems := _drawn_anew(jobs):
        raise ForgeError(problems)
    made: dict[tuple[str, int], list[Tally]] = {}
    for job in jobs:
        assert job.tally is not None, "every job has run"
        made.setdefault((job.item.path, job.region), []).append(job.tally)
    tallies = {
        path: [reduce(add, made.get((path, number), [Tally(region.fill)])) for number, region in enumerate(listed)]
        for path, listed in regions.items()
    }
    for path, group in tallies.items():
        if shards[path].distributed and group:
            group[0] = replace(group[0], checksum=checksum_of(outputs_first[path]))
    return tallies


def _drawn_globally(items: Sequence[ParameterPlan]) -> list[Problem]:
    """Problems of schemes whose values are not a function of the seed: those that are not modelforge's own."""
    foreign = {item.rule.key: item for item in items if _is_foreign(item)}
    message = "`{}` draws from torch's global generator: its values are not a function of the seed"
    hint = "hand `generator=generator` to what draws in `fill`"
    return [
        Problem("MF026", key, message.format(item.scheme), hint, item.rule.place)
        for key, item in (foreign or {item.rule.key: item for item in items}).items()
    ]


def _drawn_anew(jobs: Sequence[_Job]) -> list[Problem]:
    """Problems of foreign schemes that give other values for the same key: for each scheme the smallest of its jobs is
    run a second time, which takes next to no time in a build of more than one parameter."""
    smallest: dict[str, _Job] = {}
    for job in jobs:
        if _is_foreign(job.item) and job.cost <= min(_AGAIN, smallest.get(job.item.scheme, job).cost):
            smallest[job.item.scheme] = job
    again = [replace(job, tally=None) for job in smallest.values()]
    _run(again)
    message = "`{}` gives other values for the same key: they are not a function of the seed"
    hint = "draw in `fill` with `generator`, and from nothing else: not from NumPy's or Python's random numbers"
    return [
        Problem("MF026", job.item.rule.key, message.format(job.item.scheme), hint, job.item.rule.place)
        for job, first in zip(again, smallest.values(), strict=True)
        if job.tally is None or first.tally is None or job.tally.checksum != first.tally.checksum
    ]


def _is_foreign(item: ParameterPlan) -> bool:
    return not type(item.initializer).__module__.startswith("modelforge.")


@dataclass(frozen=True, slots=True)
class _Region:
    """Neighbouring rows with one fill, outputs first."""

    row: int
    shape: tuple[int, ...]
    start: int
    stop: int
    fill: Fill
    fixed: tuple[tuple[int, int, float], ...]
    """Flat spans in it that keep a constant."""
    attention: str | None
    """Path of the attention that it is part of."""
    input_first: bool = False


@dataclass(slots=True)
class _Job:
    """One draw: a chunk of an elementwise region, rows of a matrix that can be filled apart, or a whole matrix."""

    item: ParameterPlan
    region: int
    cost: int
    draw: Callable[[], Tally]
    by_torch: bool = False
    """Whether torch's own threads do it: they are there already, and cannot change a bit of it."""
    tally: Tally | None = None

    @torch.no_grad()
    def run(self) -> None:
        try:
            self.tally = self.draw()
        except Refusal as refusal:
            message = f"`{self.item.scheme}` cannot fill {self.item.path} {self.item.shape}: {refusal.reason}"
            rule = self.item.rule
            problem = Problem(refusal.code or "MF026", rule.key, message, refusal.hint, rule.place)
            raise ForgeError([problem]) from refusal
        except Exception as error:
            error.add_note(f"raised while `{self.item.path}` was filled")
            raise


def _jobs(item: ParameterPlan, regions: Sequence[_Region], shard: Shard, seed: int) -> Iterator[_Job]:
    """The draws for the part of a parameter that lives here; together they cover each element once."""
    for number, region in enumerate(regions):
        key = _key(seed, item, region)
        if region.fill.constant and shard.span(region.start, region.stop) is not None:
            chunk = partial(_draw_chunk, shard, region.start, region.stop, region, key)
            yield _Job(item, number, region.stop - region.start, chunk, by_torch=True)
        elif region.fill.elementwise:
            for index, start in enumerate(range(region.start, region.stop, CHUNK)):
                stop = min(start + CHUNK, region.stop)
                if shard.count(start, stop):
                    chunk = partial(_draw_chunk, shard, start, stop, region, key.sub(index))
                    yield _Job(item, number, stop - start, chunk)
        elif region.fill.of_rows(0, 0) is not None:
            for rows in _rows(region):
                if shard.count(rows.start, rows.stop):
                    yield _Job(item, number, rows.stop - rows.start, partial(_draw_rows, shard, rows, region.fill, key))
        elif shard.count(region.start, region.stop):
            cost = 64 * (region.stop - region.start)
            yield _Job(item, number, cost, partial(_draw_block, shard, region, key))


def _rows(region: _Region) -> Iterator[_Region]:
    """Some neighbouring rows at a time; they begin with a block of the checksum."""
    number, width = region.shape[0], prod(region.shape[1:])
    step = BLOCK // gcd(width, BLOCK)
    step *= max(1, _LONG * CHUNK // max(1, width * step))
    for first in range(0, number, step):
        last = min(first + step, number)
        start, stop = region.start + first * width, region.start + last * width
        shape, fill = (last - first, *region.shape[1:]), region.fill.of_rows(first, last)
        assert fill is not None, "as the caller checks"
        yield replace(region, row=region.row + first, shape=shape, start=start, stop=stop, fill=fill)


def _key(seed: int, item: ParameterPlan, region: _Region) -> Key:
    if item.initializer.draws_per == "attention":
        assert region.attention is not None, "such a scheme serves nothing else"
        return Key(seed, region.attention, "attention")
    return Key(seed, item.path, 0 if item.initializer.draws_per == "parameter" else region.row)


def _regions(item: ParameterPlan) -> Iterator[_Region]:
    """Neighbouring matrices with equal elementwise fills are one region. Fixed rows beside or between them do not part
    it, so that the other values do not depend on which row is fixed."""
    groups: list[list[tuple[Matrix, Fill]]] = []
    for pair in item.fills:
        if groups and _joins(groups[-1], *pair):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    for group in groups:
        free = _free(group)
        start, stop, row = group[0][0].start, group[-1][0].stop, group[0][0].shape[1:]
        row_size = prod(row)
        spans = ((matrix.start * row_size, matrix.stop * row_size, matrix.fixed) for matrix, _ in group)
        fixed = tuple((a, b, value) for a, b, value in spans if value is not None)
        fill = group[0][1] if free is None else free
        shape = (stop - start, *row) if item.shape else ()
        attention = group[0][0].attention
        path = None if attention is None else attention.path
        spans = () if free is None else fixed
        inputs_first = group[0][0].input_first
        yield _Region(start, shape, start * row_size, stop * row_size, fill, spans, path, inputs_first)


def _joins(group: Sequence[tuple[Matrix, Fill]], matrix: Matrix, fill: Fill) -> bool:
    if not (fill.elementwise and group[-1][1].elementwise):
        return False
    free = _free(group)
    return matrix.fixed is not None or free is None or free is fill or free == fill


def _free(group: Sequence[tuple[Matrix, Fill]]) -> Fill | None:
    """The fill of the matrices that are not fixed, if there are any."""
    return next((fill for matrix, fill in group if matrix.fixed is None), None)


def _draw_chunk(shard: Shard, start: int, stop: int, region: _Region, key: Key) -> Tally:
    memory = shard.span(start, stop) if region.fill.constant or _is_direct(shard) else None
    values = _empty_values(shard, stop - start) if memory is None else memory
    seen = region.fill.draw_(values, key)
    fixed = [(max(a, start), min(b, stop), value) for a, b, value in region.fixed if a < stop and b > start]
    width = prod(region.shape[1:])
    # Rows are measured as they were drawn, before fixed ones are written.
    rows = rows_of_chunk(values, start - region.start, width, region.stop - region.start, region.fill.promise)
    if seen is not None and memory is not None and not fixed:
        return Tally(region.fill, seen.sums, rows, _stored(values, start, shard, seen))
    for first, last, value in fixed:
        values[first - start : last - start] = value
    if memory is None:
        shard.write(values, start)
    kept = [
        part != torch.tensor(value, dtype=values.dtype).to(part)
        for first, last, value in fixed
        for part in shard.memory(first, last)
    ]
    rows = replace(rows, strays=sum(int(wrong.sum()) for wrong in kept))
    free = pairwise([start, *(end for first, last, _ in fixed for end in (first, last)), stop])
    spans = [span for index, span in enumerate(free) if index % 2 == 0 and span[0] < span[1]]
    parts = [part for first, last in spans for part in shard.memory(first, last)]
    return replace(measure(parts, region.fill), rows=rows, checksum=_stored(values, start, shard))


def _draw_block(shard: Shard, region: _Region, key: Key) -> Tally:
    memory = shard.span(region.start, region.stop) if _is_direct(shard) else None
    values = _empty_values(shard, prod(region.shape)) if memory is None else memory
    seen = region.fill.draw_(values.view(region.shape), key)
    parts = shard.write(values, region.start) if memory is None else [memory]
    rows = rows_of_matrix(values.view(region.shape), region.fill, input_first=region.input_first)
    if seen is not None and memory is not None:
        return Tally(region.fill, seen.sums, rows, _stored(values, region.start, shard, seen))
    return replace(measure(parts, region.fill), rows=rows, checksum=_stored(values, region.start, shard))


def _draw_rows(shard: Shard, rows: _Region, fill: Fill, key: Key) -> Tally:
    return replace(_draw_block(shard, rows, key), fill=fill)


def _stored(values: torch.Tensor, start: int, shard: Shard, seen: Seen | None = None) -> int:
    """The checksum of flat values for the elements from `start` on, as they are stored; 0 for a shard, which is read
    as a whole in the end."""
    if shard.distributed:
        return 0
    known = None if seen is None else checksum_of_seen(seen, start)
    return checksum(values.to(shard.local.dtype), start) if known is None else known


def _is_direct(shard: Shard) -> bool:
    """Whether values can be drawn into the parameter itself."""
    return shard.local.dtype in (torch.float32, torch.float64) and shard.local.device.type == "cpu"


def _empty_values(shard: Shard, count: int) -> torch.Tensor:
    """Memory to draw in: float64 for parameters of float64, else float32, from which values are rounded."""
    dtype = torch.float64 if shard.local.dtype == torch.float64 else torch.float32
    return torch.empty(count, dtype=dtype, device="cpu")


def _run(jobs: Sequence[_Job]) -> None:
    """Runs all jobs, on all cores. The first error ends the work and is raised."""
    for job in jobs:
        if job.by_torch:
            job.run()
    pending = deque(job for job in jobs if not job.by_torch)
    if not pending:  # torch's threads stay as they are: to set their number ends them
        return

    def work() -> None:
        while pending:
            try:
                job = pending.popleft()
            except IndexError:  # another thread took the last one
                return
            job.run()

    # Our threads are the parallelism: torch's own inside them would compete, and change the bits of factorisations.
    with one_thread():
        if sum(job.cost + _ONE_JOB for job in pending) <= _FEW:
            # As in a new thread, what the caller's thread has set must not matter.
            with torch.autocast("cpu", enabled=False):
                work()
            return
        number = min(len(pending), num_cores())
        with ThreadPoolExecutor(number) as pool:
            try:
                done, _ = wait([pool.submit(work) for _ in range(number)], return_when=FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            finally:
                # Where a job failed, or this thread was interrupted, the other threads must stop too.
                pending.clear()

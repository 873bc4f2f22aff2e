"""Sharded models: `shards` says how FSDP2 spreads a model over processes, `Sharded` is Lightning's strategy for it.

FSDP2 (`fully_shard`), and not the older FSDP: it shards parameter by parameter, so that a model keeps the names of its
parameters, takes frozen ones beside trained ones, and is filled by modelforge with the values that one process gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, distribute_tensor
from torch.optim import Optimizer

from modelforge.building.graph import Graph

NUM_PARTS = 8
"""A part that is gathered at once has at most one of so many shares of the parameters, where it can be divided."""


def mesh_of(size: int, num_replicas: int, device_type: str) -> DeviceMesh:
    """The processes as replicas of the model, each of which is spread over a row of them."""
    if num_replicas == 1:
        return init_device_mesh(device_type, (size,), mesh_dim_names=("shard",))
    return init_device_mesh(device_type, (num_replicas, size // num_replicas), mesh_dim_names=("replicate", "shard"))


def shards(mesh: DeviceMesh) -> Callable[[nn.Module], object]:
    """Shards a model over the processes of a mesh, part by part, as `mf.build` calls it."""

    def shard(model: nn.Module) -> None:
        for part in parts(model):
            fully_shard(part, mesh=mesh)
        fully_shard(model, mesh=mesh)

    return shard


def parts(model: nn.Module) -> Iterator[nn.Module]:
    """The parts of a model that are gathered one at a time: layers and blocks, none of them inside another.

    A part shares no parameter with the rest, since each belongs to one part.

    Example:
        >>> from modelforge.building.build import build
        >>> from modelforge.language import parse
        >>> block = {"type": "Repeat", "times": 3, "layers": {"one": {"type": "Linear", "out_features": 4}}}
        >>> spec = parse({"input": {"shape": [4]}, "layers": {"blocks": block}}, init={"scheme": "xavier"})
        >>> model = build(spec)
        >>> [type(part).__name__ for part in parts(model)]
        ['Linear', 'Linear', 'Linear']
    """
    most = sum(weight.numel() for weight in model.parameters()) / NUM_PARTS
    uses: dict[int, int] = {}
    for module in model.modules():
        for weight in module._parameters.values():
            uses[id(weight)] = uses.get(id(weight), 0) + (weight is not None)
    yield from _parts(model, most, uses)


def _parts(module: nn.Module, most: float, uses: Mapping[int, int]) -> Iterator[nn.Module]:
    for child in module.children():
        weights = [*child.parameters()]
        inside: dict[int, int] = {}
        for one in child.modules():
            for weight in one._parameters.values():
                inside[id(weight)] = inside.get(id(weight), 0) + (weight is not None)
        if isinstance(child, Graph) and sum(weight.numel() for weight in weights) > most:
            yield from _parts(child, most, uses)
        elif weights and all(inside[id(weight)] == uses[id(weight)] for weight in weights):
            yield child


class Sharded(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, with checkpoints that are those of one process: one file, of whole tensors.

    The model that it gets is sharded already.
    """

    def __init__(self, size: int) -> None:
        super().__init__(data_parallel_size=size, tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        return True

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return Strategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.lightning_module is not None
        options = StateDictOptions(full_state_dict=True, strict=strict)
        set_model_state_dict(self.lightning_module, dict(checkpoint["state_dict"]), options=options)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state as an optimizer of one process has it, in rank 0; all ranks must call it."""
        return _mapped(optimizer.state_dict(), lambda value: _whole(value, keep=self.is_global_zero))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            state = {
                index: {name: _spread(value, weights[index]) for name, value in values.items()}
                for index, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})


def _mapped(value: Any, change: Callable[[Tensor], Tensor | None]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {name: _mapped(one, change) for name, one in value.items()}
    return [_mapped(one, change) for one in value] if isinstance(value, list) else value


def _whole(value: Tensor, *, keep: bool) -> Tensor | None:
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return whole.detach().cpu() if keep else None


def _spread(value: Any, weight: Tensor) -> Any:
    """What an optimizer keeps of a parameter, spread as the parameter is."""
    if not (isinstance(value, Tensor) and isinstance(weight, DTensor) and value.ndim):
        return value
    mesh = weight.device_mesh
    placements = weight.placements if value.shape == weight.shape else [Replicate()] * mesh.ndim
    return distribute_tensor(value.to(weight.device), mesh, placements, src_data_rank=None)

"""A second device where there is only a CPU: torch's ``meta``, whose tensors here compute on the CPU.

A GPU refuses to mix its tensors with those of the CPU, and it rounds otherwise. Both are emulated: a mixture is an
error, and sums, products and transcendental functions lose their last bit. So a tensor made on the wrong device, or
an answer that hangs on the last bit, is seen on every machine. What a GPU takes, and the functions that it may lack,
are not emulated: those need one.
"""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

DEVICE = "meta"
COPIES = ("copy_", "_to_copy")
INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_")
"""CUDA takes indices on the CPU as well, but for a tensor of its own and values of its own."""
ROUNDED = (
    "addmm addmv baddbmm bmm cumsum dot linalg_vector_norm logsumexp mean mm mv prod sum vdot "
    "asin div erf erfc exp expm1 log log1p reciprocal rsqrt sigmoid _softmax special_erfcx sqrt tanh "
    "_linalg_eigh linalg_cholesky_ex linalg_qr linalg_solve_triangular _linalg_solve_ex _linalg_svd"
).split()
BITS = {torch.float64: torch.int64, torch.float32: torch.int32}


class Remote(torch.Tensor):
    """A tensor of the emulated device; ``near`` is the tensor of the CPU that holds its numbers."""

    @staticmethod
    def __new__(cls, near: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            near.shape,
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=DEVICE,
        )

    def __init__(self, near: torch.Tensor):
        self.near = near

    def new_tensor(self, data, *, dtype=None):
        """Make it on the CPU and move it: torch drops the numbers of a new tensor of ``meta``."""
        return torch.tensor(data, dtype=dtype or self.dtype).to(self.device)

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} met a tensor of the emulated device outside of it.")


class _Emulation(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation.overloadpacket.__name__
        tensors = []
        near_args = _replaced((*args,), tensors)
        near_kwargs = {key: _replaced(value, tensors) for key, value in kwargs.items()}
        target = kwargs.get("device")
        if target is None:
            stays = any(isinstance(tensor, Remote) for tensor in tensors)
        else:
            stays = torch.device(target).type == DEVICE
            near_kwargs["device"] = "cpu"
        if stays and name not in COPIES:
            _refuse_a_mixture(name, [args[0], *args[2:]] if name in INDEXED else tensors, kwargs)
        result = operation(*near_args, **near_kwargs)
        if not stays:
            return result
        remote = _made_remote(result, name.rstrip("_") in ROUNDED)
        return return_and_correct_aliasing(operation, args, kwargs, remote)


def _made_remote(result, rounded):
    if isinstance(result, (tuple, list)):
        return type(result)([_made_remote(each, rounded) for each in result])
    if not isinstance(result, torch.Tensor):
        return result
    if rounded and result.dtype in BITS:
        result.view(BITS[result.dtype]).bitwise_and_(-2)
    return Remote(result)


def _replaced(argument, tensors):
    """Return what holds the numbers, and note each tensor met. (With torch's own trees a fit takes twice as long.)"""
    if isinstance(argument, torch.Tensor):
        tensors.append(argument)
        return argument.near if isinstance(argument, Remote) else argument
    if isinstance(argument, (tuple, list)):
        return type(argument)([_replaced(each, tensors) for each in argument])
    return argument


def _refuse_a_mixture(name, tensors, kwargs):
    if any(type(tensor) is torch.Tensor and tensor.dim() > 0 for tensor in tensors):
        raise RuntimeError(f"Expected all tensors of {name} to be on the same device, found two.")
    if kwargs.get("generator") is not None:
        raise RuntimeError(f"Expected a generator of the emulated device in {name}, found one of the CPU.")


@contextmanager
def emulated_device():
    """Within it, ``device="meta"`` is a device that computes."""
    with _Emulation():
        yield torch.device(DEVICE)

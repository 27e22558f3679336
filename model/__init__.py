"""The hosted model: interface, host, queue, health. A plug-in needs ``from model import Model, BadInput``."""

from model.interface import BadInput, Golden, Model, Step
from model.signature import Schema, TensorSpec

__all__ = ["BadInput", "Golden", "Model", "Schema", "Step", "TensorSpec"]

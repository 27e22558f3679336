"""The hosted model: interface, host, queue, health. ``from model import Model, BadInput`` is the plug-in's whole import."""

from model.interface import BadInput, Golden, Model

__all__ = ["BadInput", "Golden", "Model"]

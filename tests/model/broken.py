"""A plug-in module that fails while it is imported."""

raise ValueError("the weights folder /srv/secret/weights is gone")

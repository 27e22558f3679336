"""How properties are tested everywhere: as many examples as ever, and no verdict by how long they took."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A machine that does other things as well is slow at times: that says nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

"""What stands in the way of a model is named, with what to do about it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from model.fault import LoadFailure
from model.source import resolve
from tests.model.conftest import Bench
from tests.model.stage import Stage

Make = Callable[..., Bench]


@pytest.mark.parametrize(
    ("path", "reason", "hint"),
    [
        ("just_a_name", "load_failed: bad_path just_a_name", "package.module:Class"),
        ("tests.model.nowhere:Model", "load_failed: no_such_module tests.model.nowhere", "correct model.path"),
        ("nowhere.at.all:Model", "load_failed: no_such_module nowhere", "correct model.path"),
        ("tests.model.plugin:Divider", "load_failed: no_such_class Divider", "it offers: Multiplier, Unfinished"),
        ("tests.model.plugin:Stranger", "load_failed: not_a_model Stranger", "extends model.Model"),
        ("tests.model.plugin:Unfinished", "load_failed: not_a_model Unfinished", "has to define predict"),
        (
            "tests.model.needy:Model",
            "load_failed: missing_dependency a_package_that_is_not_installed",
            "pip install it",
        ),
        (
            "tests.model.broken:Model",
            "load_failed: import_error ValueError: the weights folder weights is gone",
            "the log has the traceback",
        ),
    ],
)
def test_a_path_that_names_no_model_is_explained(path: str, reason: str, hint: str) -> None:
    with pytest.raises(LoadFailure) as failure:
        resolve(path)
    assert failure.value.reason == reason
    assert hint in failure.value.suggestion


def test_a_wrong_path_leaves_the_host_standing_and_explaining_itself(bench: Make) -> None:
    b = bench(path="tests.model.nowhere:Model").start()
    b.until(lambda: b.host.status().state == "failed")
    ready = b.host.health().ready
    assert (ready.ok, ready.reason) == (False, "load_failed: no_such_module tests.model.nowhere")
    assert ready.suggestion
    assert not b.fatal


def test_asking_for_cuda_where_there_is_none_says_so(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # the same module that the model thread gets

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for settings, health in ({"device": "cuda"}, {}), ({"device": "auto"}, {"require_gpu": True}):
        b = bench(health=health, **settings).start()
        b.until(lambda b=b: b.host.status().state == "failed")  # type: ignore[misc]
        verdict = b.host.health()
        assert verdict.ready.reason == "cuda_unavailable"
        assert verdict.checks["gpu"] is False


def test_auto_takes_the_cpu_when_a_tensor_on_the_gpu_fails(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from model.device import Device

    def broken_driver(self: Device) -> None:
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Device, "probe", broken_driver)
    b = bench(device="auto").ready()
    assert b.host.status().device == "cpu"
    assert b.host.health().checks == {"api": True, "model": True, "gpu": "absent"}


def test_a_load_that_raises_fails_with_its_words_but_without_folders(bench: Make, stage: Stage) -> None:
    def no_weights() -> None:
        raise OSError("cannot open /home/someone/models/card.safetensors")

    stage.on_load = no_weights
    b = bench().start()
    b.until(lambda: b.host.status().state == "failed")
    assert b.host.status().reason == "load_failed: OSError: cannot open card.safetensors"


def test_a_load_that_runs_out_of_memory_says_so(bench: Make, stage: Stage) -> None:
    def too_big() -> None:
        raise MemoryError

    stage.on_load = too_big
    b = bench().start()
    b.until(lambda: b.host.status().state == "failed")
    assert b.host.status().reason == "load_failed: out_of_memory"


def test_a_batch_size_that_does_not_fit_is_lowered_in_the_warm_up(bench: Make, stage: Stage) -> None:
    def predict(batch: list[float]) -> None:
        if len(batch) > 2:
            raise MemoryError

    stage.on_predict = predict
    b = bench(batch_size=8).ready()
    held = b.occupy()
    sent = b.send_waiting(1, 2, 3, 4)
    stage.gate.set()
    assert all(future.result(20).outcome == "ok" for future in [held, *sent])
    assert [len(batch) for batch in stage.batches] == [1, 2, 2]


def test_a_model_whose_results_are_not_json_fails_at_load(bench: Make, stage: Stage) -> None:
    class Tensor:
        def __getitem__(self, name: str) -> float:
            return 2.0

    stage.on_encode = lambda answer: Tensor()
    b = bench().start()
    b.until(lambda: b.host.status().state == "failed")
    status = b.host.status()
    assert status.reason == "golden_failed: not_json: Type is not JSON serializable: Tensor"
    assert "encode" in str(status.suggestion)


def test_a_model_without_golden_inputs_loads_without_a_forward_pass(bench: Make, stage: Stage) -> None:
    stage.golden = False
    b = bench().start()
    b.until(lambda: b.host.status().state == "ready")
    assert stage.events == ["load"]
    b.host.check(1)
    assert b.host.health().ready.ok


def test_a_network_left_in_training_mode_is_put_right_and_one_that_goes_back_to_it_is_not_ready(
    bench: Make, stage: Stage
) -> None:
    stage.training = True
    b = bench().ready()
    instance = b.host._fleet.engines[0].worker.instance
    assert instance is not None
    (network,) = instance.device.networks(instance.model)
    assert not network.training
    network.train()
    b.host.check(1)
    assert b.host.health().ready.reason == "model_in_training_mode"


def test_torchs_libraries_are_opened_beside_the_gil_before_torch_is_imported() -> None:
    code = (
        "import sys\n"
        "from model.preload import preload_torch\n"
        "assert preload_torch() and 'torch' not in sys.modules\n"
        "import torch\n"
        "assert torch.ones(2).sum() == 2 and not preload_torch()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_loaded_model_is_announced_to_the_meter_before_its_first_request(bench: Make) -> None:
    b = bench().ready()
    status = b.host.status()
    assert b.book.announced == [(status.model, status.version)]

"""Runs Pulser sequences on PASQAL's own emulators, where they are installed: `emu-sv` (state
vectors) and `emu-mps` (matrix product states). On a GPU if the node has one.

They are no dependency of this project: their licence is for research use as far as patents go.
"""

from typing import Any

from workers.executors.pulser import PulserExecutor


class _EmuExecutor(PulserExecutor):
    def _on_this_node(self, config: dict[str, Any]) -> dict[str, Any]:
        """A user may do without the GPU, but cannot have one that is not there."""
        import torch

        wanted = config.pop("num_gpus_to_use", None)
        wanted = config.get("gpu") if config.get("gpu") is not None else wanted
        present = torch.cuda.is_available()
        return {**config, "gpu": present if wanted is None else bool(wanted) and present}


class StateVectorExecutor(_EmuExecutor):
    """`emu-sv`: exact; each further atom doubles time and memory. 25 atoms take 0.5 GB."""

    max_qubits = 25

    def _backend(self) -> Any:
        from emu_sv import SVBackend

        return SVBackend


class MatrixProductExecutor(_EmuExecutor):
    """`emu-mps`: approximate; its cost grows with the entanglement rather than with the atoms."""

    max_qubits = 80

    def _backend(self) -> Any:
        from emu_mps import MPSBackend

        return MPSBackend

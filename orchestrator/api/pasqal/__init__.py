"""The PASQAL Cloud door: its wire, translated to the engine's verbs and back. Nothing else."""

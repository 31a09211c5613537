"""What only Pulser can say of a sequence, said by a process of its own.

Pulser takes 1.7 s and 110 MiB to import: the API must neither wait for that nor carry it.
"""

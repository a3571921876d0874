"""The verbs of the command line, one file each: a frozen dataclass `Command`, and `main(command, terminal)`.

They are imported one by one, so that `worldrex describe` does not wait for JAX.
"""

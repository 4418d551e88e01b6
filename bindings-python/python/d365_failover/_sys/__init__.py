"""What differs by system is here, as in each crate's folder `sys`."""

__all__: list[str] = []

"""Stores: implementations of the `Queue` and `Archive` ports. Only `wire` names them."""

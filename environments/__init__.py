"""Where agents act: the protocol, the registry, and the environments that ship."""
